import type { Approval } from '../domain/approval.ts';
import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import { isGateway, type Target } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { mayEverAllow } from '../policy/decide.ts';
import { type OwnClient, UpstreamRpcError } from '../upstream/own-client.ts';
import type { ToolDefinition } from '../upstream/tool-definition.ts';
import { admit, type CallDeps, type Forward, runCall, type WaitForApproval } from './call.ts';
import type { Arrival } from './decision.ts';
import { rulingMetadata } from './ruling-metadata.ts';

type JsonObject = Readonly<Record<string, unknown>>;

/** Who asks for tools, of what, and on which request. */
export interface ToolRequest {
  readonly principal: Principal;
  /** Slug or id, as the caller wrote it. */
  readonly upstream: string;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export interface ToolCallRequest extends ToolRequest {
  /** Checks the credential once more, for a call that waited; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
  readonly name: string;
  readonly arguments: JsonObject;
}

export interface ToolCallsDeps {
  readonly call: CallDeps;
  readonly client: OwnClient;
}

/** Tool calls for code that does not speak MCP: the same path as a call on the MCP face, with the gateway as the upstream's client. */
export function createToolCalls({ call: deps, client }: ToolCallsDeps) {
  /** The tools that the caller might be allowed to call, with some arguments at some time. */
  async function listTools(request: ToolRequest): Promise<readonly ToolDefinition[]> {
    const upstream = requireUpstream(await admit(deps, arrivalOf(request, 'tools/list')));
    deps.usage.countRequest(upstream.id);
    const { principal, signal } = request;
    const tools = await client.listTools(upstream, principal, { signal }).catch((error) => throwFailure(error, {}));
    const { defaultEffect } = deps.config.getProject(principal.projectId);
    const policies = deps.policies.of(principal.projectId);
    return tools.filter(({ name }) => {
      const call = { principal, upstream, method: 'tools/call', tool: name, arguments: undefined, session: undefined };
      return mayEverAllow(policies.match(call), call, defaultEffect);
    });
  }

  /** Decides, records and makes one call; refusals and failures are GatewayErrors with the call's id in their metadata. */
  async function callTool(request: ToolCallRequest): Promise<{ callId: string; result: JsonObject }> {
    const arrival = arrivalOf(request, 'tools/call');
    const upstream = requireUpstream(await admit(deps, arrival));
    const attempt = createAttempt(client, request);
    const ruling = await runCall(
      deps,
      {
        ...arrival,
        authenticate: request.authenticate,
        upstream,
        era: upstream.era ?? 'legacy',
        tool: request.name,
        arguments: request.arguments,
        session: undefined,
        requestBytes: JSON.stringify(request.arguments).length,
      },
      attempt.forward,
      holdUntilAnswered(deps, request.signal),
    );
    const { decision } = ruling;
    const metadata = rulingMetadata(ruling);
    if (decision.effect !== 'allow') {
      const reason = decision.effect === 'deny' ? 'policy_denied' : 'approval_required';
      throw new GatewayError(reason, decision.message, { metadata });
    }
    return { callId: decision.id, result: attempt.result(metadata) };
  }

  return { listTools, callTool };
}

/** A call that is to be held waits for its answer; this face has no way to elicit one. */
function holdUntilAnswered({ approvals }: CallDeps, signal: AbortSignal): WaitForApproval {
  return (approval: Approval, { behavior, holdTimeoutMs }) =>
    behavior === 'hold' ? approvals.wait(approval.id, Date.now() + holdTimeoutMs, signal) : Promise.resolve(approval);
}

/** One call to the upstream: how it is forwarded, and afterwards what it gave. */
function createAttempt(client: OwnClient, request: ToolCallRequest) {
  let outcome: { readonly result: JsonObject } | { readonly error: unknown } | undefined;

  const forward: Forward = async ({ upstream, principal }, committed) => {
    const params = { name: request.name, arguments: request.arguments };
    const { signal } = request;
    outcome = await client.request(upstream, principal, 'tools/call', params, { signal }).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    await committed;
    return 'result' in outcome
      ? { status: statusOfResult(outcome.result), responseBytes: JSON.stringify(outcome.result).length }
      : { status: statusOfError(outcome.error), responseBytes: 0 };
  };

  function result(metadata: Readonly<Record<string, string>>): JsonObject {
    if (outcome !== undefined && 'result' in outcome) {
      return outcome.result;
    }
    return throwFailure(outcome?.error, metadata);
  }

  return { forward, result };
}

function requireUpstream(target: Target): Upstream {
  if (isGateway(target)) {
    throw new GatewayError('internal', 'Gateways are not served yet.');
  }
  return target;
}

function arrivalOf({ requestId, principal, upstream }: ToolRequest, method: string): Arrival {
  return { requestId, face: 'api', principal, slug: upstream, method };
}

function statusOfResult(result: JsonObject): OutcomeStatus {
  if (result['resultType'] === 'input_required') {
    return 'input_required';
  }
  return result['isError'] === true ? 'tool_error' : 'ok';
}

function statusOfError(error: unknown): OutcomeStatus {
  if (error instanceof UpstreamRpcError) {
    return 'rpc_error';
  }
  const reason = error instanceof GatewayError ? error.reason : undefined;
  return reason === 'upstream_timeout' ? 'timeout' : reason === 'canceled' ? 'canceled' : 'upstream_error';
}

function throwFailure(error: unknown, metadata: Readonly<Record<string, string>>): never {
  if (error instanceof UpstreamRpcError) {
    const message = `The upstream answered with the error ${error.code}: ${error.message}`;
    throw new GatewayError('bad_gateway', message, {
      metadata: { ...metadata, rpc_code: String(error.code) },
      cause: error,
    });
  }
  if (error instanceof GatewayError) {
    const { retryAfterMs } = error;
    throw new GatewayError(error.reason, error.message, {
      metadata: { ...error.metadata, ...metadata },
      cause: error.cause,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  throw error;
}

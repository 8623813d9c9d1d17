import { finalArguments, findLookalike } from '../catalogue/arguments.ts';
import type { ExposedTool } from '../catalogue/composition.ts';
import type { Compositions } from '../catalogue/compositions.ts';
import type { Viewer } from '../catalogue/offer.ts';
import type { Approval } from '../domain/approval.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Principal } from '../domain/principal.ts';
import { isGateway } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { OwnClient } from '../upstream/own-client.ts';
import { type Call, type CallDeps, runCall, type WaitForApproval } from './call.ts';
import type { Arrival } from './decision.ts';
import type { Listing } from './listing.ts';
import { admitTo, look, notOffered, refuseUnknown } from './route.ts';
import { rulingMetadata } from './ruling-metadata.ts';
import { createAttempt, throwFailure } from './tool-attempt.ts';

/** Who asks for tools, of what, and on which request. */
export interface ToolRequest {
  readonly principal: Principal;
  /** An upstream or a gateway, by id or address, and never the other kind of the same name. */
  readonly target: { readonly kind: 'upstream' | 'gateway'; readonly name: string };
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export interface ToolCallRequest extends ToolRequest {
  /** Checks the credential once more, for a call that waited; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
  readonly name: string;
  readonly arguments: JsonObject;
}

/** A tool as an upstream or gateway offers it, and where it comes from. */
export interface OfferedTool {
  /** By which it is called there. */
  readonly name: string;
  /** As `tools/list` names it there. */
  readonly definition: JsonObject;
  readonly upstream: Pick<Upstream, 'slug' | 'version'>;
  /** The name that the upstream gave it. */
  readonly upstreamTool: string;
}

export interface ToolCallsDeps {
  readonly call: CallDeps;
  readonly client: OwnClient;
  readonly compositions: Pick<Compositions, 'of' | 'peek'>;
  readonly listing: Listing;
}

/** Tool calls for code that does not speak MCP: the same path as a call on the MCP face, with the gateway as the upstream's client. */
export function createToolCalls({ call: deps, client, compositions, listing }: ToolCallsDeps) {
  /** The tools that the caller might be allowed to call, with some arguments at some time; of a gateway all of them, also where its clients search. */
  async function listTools(request: ToolRequest): Promise<readonly OfferedTool[]> {
    const target = await admitTo(deps, arrivalOf(request, 'tools/list'), request.target.kind);
    const { principal } = request;
    if (isGateway(target)) {
      const { tools } = await compositions.of(target, viewerOf(principal));
      return listing.visible(principal, tools, callOfExposed).map(offeredBy);
    }
    deps.usage.countRequest(target.id);
    const tools = await client.listTools(target, principal, request).catch((error) => throwFailure(error, {}));
    const callOf = ({ name }: { readonly name: string }) => ({ upstream: target, method: 'tools/call', tool: name });
    const visible = listing.visible(principal, tools, callOf);
    return visible.map((tool) => ({ name: tool.name, definition: tool, upstream: target, upstreamTool: tool.name }));
  }

  /** Decides, records and makes one call; refusals and failures are GatewayErrors with the call's id in their metadata. */
  async function callTool(request: ToolCallRequest): Promise<{ callId: string; result: JsonObject }> {
    const arrival = arrivalOf(request, 'tools/call');
    const target = await admitTo(deps, arrival, request.target.kind);
    const place = isGateway(target) ? await find(request, arrival, target) : placeAt(target, request);
    const { timeoutMs, ...where } = place;
    const { authenticate, signal } = request;
    const attempt = createAttempt(client, { timeoutMs, signal });
    const call: Call = { ...arrival, ...where, authenticate, era: where.upstream.era ?? 'legacy', session: undefined };
    const ruling = await runCall(deps, call, attempt.forward, holdUntilAnswered(deps, signal));
    const { decision } = ruling;
    const metadata = rulingMetadata(ruling);
    if (decision.effect !== 'allow') {
      const reason = decision.effect === 'deny' ? 'policy_denied' : 'approval_required';
      throw new GatewayError(reason, decision.message, { metadata });
    }
    return { callId: decision.id, result: attempt.result(metadata) };
  }

  /** Where a gateway sends the call. */
  async function find(request: ToolCallRequest, arrival: Arrival, gateway: Gateway): Promise<Place> {
    const { principal, name } = request;
    const { found } = await look(compositions, gateway, viewerOf(principal), ({ findTool }) => findTool(name));
    if (found === undefined) {
      const unknown = { ...arrival, arguments: request.arguments, requestBytes: bytesOf(request.arguments) };
      throw notOffered(await refuseUnknown(deps, unknown, gateway, name), name);
    }
    const { member, tool, override } = found;
    const { upstream, timeoutMs } = member;
    const lookalike = findLookalike(override, request.arguments ?? {});
    if (lookalike !== undefined) {
      throw new GatewayError('validation_failed', `'${lookalike}' is no argument of this tool.`);
    }
    const args = finalArguments(override, request.arguments);
    return { gateway, upstream, tool, arguments: args, requestBytes: bytesOf(request.arguments), timeoutMs };
  }

  return { listTools, callTool };
}

/** Where a call goes, and with what. */
interface Place extends Pick<Call, 'upstream' | 'gateway' | 'tool' | 'arguments' | 'requestBytes'> {
  readonly timeoutMs: number;
}

function placeAt(upstream: Upstream, { name, arguments: args }: ToolCallRequest): Place {
  return { upstream, tool: name, arguments: args, requestBytes: bytesOf(args), timeoutMs: upstream.timeoutMs };
}

function bytesOf(args: JsonObject): number {
  return JSON.stringify(args).length;
}

/** Code that asks through this face is spoken for by the gateway, which can do nothing that an upstream could ask for. */
function viewerOf(principal: Principal): Viewer {
  return { principal, era: 'modern', capabilities: NO_CAPABILITIES };
}

const NO_CAPABILITIES: JsonObject = {};

function callOfExposed({ member, tool }: ExposedTool) {
  return { upstream: member.upstream, method: 'tools/call', tool };
}

function offeredBy({ name, definition, member, tool }: ExposedTool): OfferedTool {
  return { name, definition, upstream: member.upstream, upstreamTool: tool };
}

/** A call that is to be held waits for its answer; this face has no way to elicit one. */
function holdUntilAnswered({ approvals }: CallDeps, signal: AbortSignal): WaitForApproval {
  return (approval: Approval, { behavior, holdTimeoutMs }) =>
    behavior === 'hold' ? approvals.wait(approval.id, Date.now() + holdTimeoutMs, signal) : Promise.resolve(approval);
}

function arrivalOf({ requestId, principal, target }: ToolRequest, method: string): Arrival {
  return { requestId, face: 'api', principal, slug: target.name, method };
}

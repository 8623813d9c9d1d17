import { GatewayError } from '../domain/errors.ts';
import { type CallId, newId } from '../domain/ids.ts';
import { hasScope, isGranted, type Principal } from '../domain/principal.ts';
import { type DecideDeps, decideCall, type Ruling, requireFreshConfig } from './decide-call.ts';
import { createDecision, type GovernedCall } from './decision.ts';

/** Asks about a call that the caller is going to make by itself. */
export interface AuthorizeRequest {
  /** Who asks. */
  readonly principal: Principal;
  /** Checks the credential once more, after a wait; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
  /** Id or slug of the Agent that calls. */
  readonly agent: string;
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Size of the arguments as JSON, in bytes. */
  readonly requestBytes: number;
  /** Empty = none. */
  readonly session: string;
  /** Empty = none. */
  readonly upstream: string;
  /** How long to wait for a human, in milliseconds; 0 = not at all. */
  readonly approvalWaitMs: number;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/** The answer; of a REQUIRE_APPROVAL with the approval to wait for. */
export type AuthorizeResult = Pick<Ruling, 'decision' | 'approval'>;

/** Decides calls that the gateway does not forward, on the same path and with the same record as those it does. */
export function createAuthorize(deps: DecideDeps) {
  /**
   * @throws GatewayError `not_found` when there is no such agent, `permission_denied` when the caller may not ask for it or about the
   *   upstream, `unavailable` when the decision cannot be recorded
   */
  return async function authorize(request: AuthorizeRequest): Promise<AuthorizeResult> {
    const first = await decideOnce(deps, request);
    const { approval } = first;
    if (approval === undefined || request.approvalWaitMs === 0) {
      return first;
    }
    const settled = await deps.approvals.wait(approval.id, Date.now() + request.approvalWaitMs, request.signal);
    return settled.state === 'approved'
      ? decideOnce(deps, { ...request, principal: await request.authenticate() })
      : { decision: first.decision, approval: settled };
  };
}

async function decideOnce(deps: DecideDeps, request: AuthorizeRequest): Promise<AuthorizeResult> {
  requireFreshConfig(deps);
  const call = callOf(deps, request);
  const { agentState } = call.principal;
  if (agentState !== 'active') {
    const message = `The agent '${call.principal.name}' is ${agentState}: all of its calls are denied.`;
    const decision = createDecision(
      newId<CallId>(),
      Date.now(),
      call,
      { effect: 'deny', reason: 'agent_inactive', ruleIds: [], message },
      {},
    );
    await deps.log.append(decision);
    return { decision };
  }
  const ruling = await decideCall(deps, call);
  await ruling.committed;
  return ruling;
}

function callOf(deps: DecideDeps, request: AuthorizeRequest): GovernedCall {
  const { session, upstream } = request;
  return {
    requestId: request.requestId,
    face: 'api',
    principal: actingAgent(deps, request),
    slug: upstream,
    method: 'tools/call',
    upstream: describeUpstream(deps, request),
    era: 'legacy',
    tool: request.tool,
    arguments: request.arguments,
    session: session === '' ? undefined : session,
    requestBytes: request.requestBytes,
  };
}

/** Policies know upstreams by their slugs, also where the caller gives an id or the version of an upstream that is not here. */
function describeUpstream({ config }: DecideDeps, { principal, upstream }: AuthorizeRequest): GovernedCall['upstream'] {
  const found = config.findUpstream(principal.projectId, upstream);
  if (found !== undefined) {
    return { slug: found.slug, version: found.version };
  }
  const at = upstream.indexOf('@');
  return at === -1 ? { slug: upstream } : { slug: upstream.slice(0, at), version: upstream.slice(at + 1) };
}

/** The agent as a principal, with the credential of who asks. */
function actingAgent({ config }: DecideDeps, { principal, agent: name, upstream }: AuthorizeRequest): Principal {
  if (!hasScope(principal, 'tools:call')) {
    throw new GatewayError('permission_denied', `The credential lacks the scope 'tools:call'.`);
  }
  const agent = config.findAgent(principal.projectId, name);
  if (principal.kind === 'agent' && agent?.id !== principal.id) {
    throw new GatewayError(
      'permission_denied',
      `The credential of an agent may authorize that agent only, not '${name}'.`,
    );
  }
  if (agent === undefined) {
    throw new GatewayError('not_found', `There is no agent '${name}' in this project.`, {
      metadata: { resource: 'agent', name },
    });
  }
  requireUpstream(config.findUpstream(principal.projectId, upstream)?.id, principal, upstream);
  return {
    ...principal,
    kind: 'agent',
    id: agent.id,
    name: agent.slug,
    teams: agent.teams,
    agentState: agent.state,
    ...(agent.ownerId === undefined ? {} : { ownerId: agent.ownerId }),
    ...(principal.kind === 'user' ? { askedById: principal.id } : {}),
  };
}

function requireUpstream(id: Parameters<typeof isGranted>[1] | undefined, principal: Principal, slug: string): void {
  if (principal.grants !== 'all' && (id === undefined || !isGranted(principal, id))) {
    const message = `The credential reaches certain upstreams only: name one of them as 'upstream', not '${slug}'.`;
    throw new GatewayError('permission_denied', message);
  }
}

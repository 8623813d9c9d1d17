import type { DecisionLog } from '../decisions/decision-log.ts';
import { describeArguments } from '../decisions/recorded-arguments.ts';
import type { Decision, DecisionReason, OutcomeStatus } from '../domain/decision.ts';
import { type ErrorReason, GatewayError } from '../domain/errors.ts';
import { type CallId, newId } from '../domain/ids.ts';
import { hasScope, isGranted, type Principal, type Scope } from '../domain/principal.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import { decide, type Verdict } from '../policy/decide.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import type { Usage } from './usage.ts';

/** What the path of a call works with; made once in main. */
export interface CallDeps {
  readonly config: HotConfig;
  readonly log: DecisionLog;
  readonly usage: Usage;
}

/** A request of a known caller, before its body is read. */
export interface Arrival {
  readonly requestId: string;
  readonly face: 'mcp' | 'api';
  readonly principal: Principal;
  /** Slug or id of the upstream, as the caller wrote it. */
  readonly slug: string;
  /** JSON-RPC method, or the HTTP method when the body is not read yet. */
  readonly method: string;
}

/** A governed request: an arrival that was admitted to an upstream, with what is asked of it. */
export interface Call extends Arrival {
  readonly upstream: Upstream;
  readonly era: Era;
  /** Name of the tool or prompt, URI of the resource; undefined for a method that names none. */
  readonly tool: string | undefined;
  /** Arguments with every number as written; undefined when the call has none. */
  readonly arguments: unknown;
  /** What the digest covers where `arguments` may have lost digits. */
  readonly exactText?: string;
  readonly requestBytes: number;
}

/** How a forwarded call ended. */
export interface ForwardEnd {
  readonly status: OutcomeStatus;
  readonly responseBytes: number;
}

/**
 * Sends the call to its upstream and the answer to the caller; resolves when both are done. No byte of the answer may leave before
 * `committed` has resolved, where it is given; when it rejects, the caller gets that error instead of the answer.
 */
export type Forward = (committed?: Promise<void>) => Promise<ForwardEnd>;

/** What a credential needs for a call, one of them. */
export const callScopes: readonly Scope[] = ['tools:call'];

/**
 * The first half of a call's path: may this caller reach this upstream at all? Needs no body, so strangers' bodies are never read.
 *
 * @throws GatewayError, after the refusal has been recorded
 */
export async function admit(deps: CallDeps, arrival: Arrival, anyOf: readonly Scope[] = callScopes): Promise<Upstream> {
  const { principal, slug } = arrival;
  if (!anyOf.some((scope) => hasScope(principal, scope))) {
    return refuse(
      deps,
      arrival,
      'scope',
      'permission_denied',
      `The credential lacks the scope '${anyOf.join("' or '")}'.`,
    );
  }
  const upstream = deps.config.findUpstream(principal.projectId, slug);
  if (upstream === undefined) {
    // Who may not see everything must not learn which slugs exist.
    return principal.grants === 'all'
      ? refuse(deps, arrival, 'upstream_not_found', 'not_found', `There is no upstream '${slug}' in this project.`)
      : refuse(deps, arrival, 'upstream_not_found', 'permission_denied', withoutGrant(slug));
  }
  if (!isGranted(principal, upstream.id)) {
    return refuse(deps, arrival, 'grant', 'permission_denied', withoutGrant(slug), upstream);
  }
  if (!upstream.enabled) {
    return refuse(deps, arrival, 'upstream_disabled', 'permission_denied', disabled(slug), upstream);
  }
  return upstream;
}

/**
 * The second half: decide, record, forward, settle. Returns the Decision; a caller whose call was refused is answered from it.
 *
 * @throws GatewayError `unavailable` when the decision cannot be recorded; then nothing was forwarded, unless the upstream is set to
 *   `before_answer`
 */
export async function runCall(deps: CallDeps, call: Call, forward: Forward): Promise<Decision> {
  const project = deps.config.getProject(call.principal.projectId);
  const verdict = decide(project, call);
  const decision = createDecision(call, verdict, call.upstream, recordArguments(call, project.recordedArguments));
  const committed = deps.log.append(decision);
  deps.usage.countCall(call.upstream.id, decision.effect);
  const isEarly = call.upstream.decisionCommit === 'before_answer';
  if (decision.effect !== 'allow' || !isEarly) {
    await committed;
  }
  if (decision.effect === 'allow') {
    const startTime = performance.now();
    const end = await (isEarly ? forward(committed) : forward());
    deps.log.settle({
      decisionId: decision.id,
      endTime: Date.now(),
      latencyMicros: Math.round((performance.now() - startTime) * 1000),
      ...end,
    });
  }
  return decision;
}

function recordArguments(call: Call, mode: Parameters<typeof describeArguments>[1]): Partial<Decision> {
  if (call.arguments === undefined) {
    return {};
  }
  const { digest, json, redacted } = describeArguments(call.arguments, mode, call.exactText);
  return {
    argumentsDigest: digest,
    ...(json === undefined ? {} : { argumentsJson: json, argumentsRedacted: redacted }),
  };
}

async function refuse(
  deps: CallDeps,
  arrival: Arrival,
  reason: DecisionReason,
  errorReason: ErrorReason,
  message: string,
  upstream?: Upstream,
): Promise<never> {
  const decision = createDecision(arrival, { effect: 'deny', reason, ruleIds: [], message }, upstream, {});
  await deps.log.append(decision);
  throw new GatewayError(errorReason, message, { metadata: { call_id: decision.id } });
}

/** What is kept of a slug that names nothing, in UTF-16 code units; real ones are shorter. */
const MAX_SLUG = 64;

/** The one place where a Decision is made. */
function createDecision(
  arrival: Arrival & Partial<Call>,
  verdict: Verdict,
  upstream: Upstream | undefined,
  recorded: Partial<Decision>,
): Decision {
  const { principal } = arrival;
  const now = Date.now();
  return {
    id: newId<CallId>(now),
    projectId: principal.projectId,
    createTime: now,
    requestId: arrival.requestId,
    face: arrival.face,
    era: arrival.era ?? 'legacy',
    principalKind: principal.kind,
    principalId: principal.id,
    principalName: principal.name,
    ...(principal.apiKeyId === undefined ? {} : { apiKeyId: principal.apiKeyId }),
    ...(principal.keyPrefix === undefined ? {} : { keyPrefix: principal.keyPrefix }),
    ...(upstream === undefined ? {} : { upstreamId: upstream.id }),
    upstreamSlug: arrival.slug.slice(0, MAX_SLUG),
    method: arrival.method,
    ...(arrival.tool === undefined ? {} : { tool: arrival.tool }),
    effect: verdict.effect,
    reason: verdict.reason,
    ruleIds: verdict.ruleIds,
    message: verdict.message,
    ...recorded,
    requestBytes: arrival.requestBytes ?? 0,
  };
}

function withoutGrant(slug: string): string {
  return `The credential has no grant for the upstream '${slug}' (or it might not exist).`;
}

function disabled(slug: string): string {
  return `The upstream '${slug}' is disabled. An operator can enable it with UpdateUpstream.`;
}

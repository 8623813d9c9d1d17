import type { Decision } from '../domain/decision.ts';
import type { Gateway } from '../domain/gateway.ts';
import type { CallId, UpstreamId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { addressOf } from '../domain/target.ts';
import type { Era, ToolFilter } from '../domain/upstream.ts';
import type { Verdict } from '../policy/decide.ts';

/** A request of a known caller, before its body is read. */
export interface Arrival {
  readonly requestId: string;
  readonly face: 'mcp' | 'api';
  readonly principal: Principal;
  /** Address or id of the upstream or gateway, as the caller wrote it. */
  readonly slug: string;
  /** JSON-RPC method, or the HTTP method when the body is not read yet. */
  readonly method: string;
}

/** What policies decide about: a request that names what it wants. */
export interface GovernedCall extends Arrival {
  /** Where it goes; without an id and with an empty slug when it is made elsewhere. */
  readonly upstream: {
    readonly id?: UpstreamId;
    readonly slug: string;
    readonly version?: string;
    readonly toolFilter?: ToolFilter;
  };
  /** The gateway through which it came; absent = none. */
  readonly gateway?: Gateway;
  readonly era: Era;
  /** Name of the tool or prompt, URI of the resource, as the upstream knows it; undefined for a method that names none. */
  readonly tool: string | undefined;
  /** Arguments with every number as written; undefined when the call has none. */
  readonly arguments: unknown;
  /** What the digest covers where `arguments` may have lost digits. */
  readonly exactText?: string;
  /** Identifies the caller's session for rules that count by session; undefined when it has none. */
  readonly session: string | undefined;
  readonly requestBytes: number;
}

/** What decided a call; of a call that policies did not see, only the first four. */
export type Reasons = Pick<Verdict, 'effect' | 'reason' | 'ruleIds' | 'message'> & Partial<Verdict>;

type RecordedArguments = Pick<Decision, 'argumentsDigest' | 'argumentsJson' | 'argumentsRedacted' | 'approvalId'>;

/** What is kept of a slug that names nothing, in UTF-16 code units; real ones are shorter. */
const MAX_SLUG = 64;

/** The one place where a Decision is made; `now` is the time it was decided by, in Unix milliseconds. */
export function createDecision(
  id: CallId,
  now: number,
  call: Arrival & Partial<GovernedCall>,
  reasons: Reasons,
  recorded: RecordedArguments,
): Decision {
  const { principal, upstream, gateway } = call;
  return {
    id,
    projectId: principal.projectId,
    createTime: now,
    requestId: call.requestId,
    face: call.face,
    era: call.era ?? 'legacy',
    principalKind: principal.kind,
    principalId: principal.id,
    principalName: principal.name,
    ...(principal.apiKeyId === undefined ? {} : { apiKeyId: principal.apiKeyId }),
    ...(principal.keyPrefix === undefined ? {} : { keyPrefix: principal.keyPrefix }),
    ...(upstream?.id === undefined ? {} : { upstreamId: upstream.id }),
    upstreamSlug: (upstream?.slug ?? call.slug).slice(0, MAX_SLUG),
    ...(upstream?.version === undefined ? {} : { upstreamVersion: upstream.version }),
    ...(gateway === undefined ? {} : { gatewayId: gateway.id, gatewaySlug: addressOf(gateway) }),
    method: call.method,
    ...(call.tool === undefined ? {} : { tool: call.tool }),
    ...(call.session === undefined ? {} : { session: call.session }),
    effect: reasons.effect,
    reason: reasons.reason,
    ruleIds: reasons.ruleIds,
    ...(isEmpty(reasons.policies) ? {} : { policies: reasons.policies }),
    ...(isEmpty(reasons.failures) ? {} : { failures: reasons.failures }),
    ...(isEmpty(reasons.shadow) ? {} : { shadow: reasons.shadow }),
    message: reasons.message,
    ...recorded,
    requestBytes: call.requestBytes ?? 0,
  };
}

function isEmpty<Item>(items: readonly Item[] | undefined): items is undefined {
  return items === undefined || items.length === 0;
}

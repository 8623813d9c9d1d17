import type { ApprovalRequirement } from '../../src/domain/approval.ts';
import type { ConstraintFailure, Effect } from '../../src/domain/decision.ts';
import type { ApiKeyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { RecordedArguments } from '../../src/domain/project.ts';
import type { Verdict } from '../../src/policy/decide.ts';
import type { PolicyCall } from '../../src/policy/policy-call.ts';
import { defined, type Fields } from './read-fields.ts';
import { readPolicy } from './read-policy.ts';

/** A call as a case writes it. */
export interface GoldenCall extends PolicyCall {
  readonly principal: Principal;
}

/** What happened before the call of the case: a call that was decided then, or a state as it is stored. */
export type Earlier =
  | { readonly kind: 'call'; readonly call: GoldenCall; readonly at: number; readonly effect: Effect }
  | { readonly kind: 'state'; readonly key: string; readonly value: number; readonly at: number };

/** One golden case: what is there, what is called, what is decided, and what the log holds of it. README.md shows how it is written. */
export interface GoldenCase {
  readonly name: string;
  readonly project: {
    readonly defaultEffect: Effect;
    readonly recordedArguments: RecordedArguments;
    readonly redactedKeys: readonly string[];
  };
  readonly policies: readonly Policy[];
  readonly earlier: readonly Earlier[];
  readonly call: GoldenCall;
  readonly now: number;
  readonly approved?: readonly ApprovalRequirement[];
  /** The fields of the Verdict that the case states. */
  readonly decision: Partial<Verdict>;
  /** The state that is left, by key. */
  readonly stateAfter?: Readonly<Record<string, number>>;
  /** What the log holds, with the names of Decision in snake case, without what is the same in all cases. */
  readonly record?: Readonly<Record<string, unknown>>;
}

/** Reads one case. */
export function readCase(fields: Fields): GoldenCase {
  const policies = fields.readList('policies', readPolicy);
  const now = readTime(fields.find('now') ?? '2026-11-20T10:00:00Z');
  const projectFields = fields.read('project', readProject);
  const call = fields.read('call', readCall) ?? defaultCall;
  return {
    name: fields.get('name'),
    project: projectFields ?? { defaultEffect: 'deny', recordedArguments: 'redacted', redactedKeys: [] },
    policies,
    earlier: fields.readList('state', (entry) => readEarlier(entry, now, call)).flat(),
    call,
    now,
    decision: readDecision(fields, policies),
    ...defined({
      approved: fields.find('approved') === undefined ? undefined : fields.readList('approved', readRequirement),
      stateAfter: fields.find<Readonly<Record<string, number>>>('state_after'),
      record: fields.find<Readonly<Record<string, unknown>>>('record'),
    }),
  };
}

function readProject(fields: Fields): GoldenCase['project'] {
  return {
    defaultEffect: fields.find('default_effect') ?? 'deny',
    recordedArguments: fields.find('recorded_arguments') ?? 'redacted',
    redactedKeys: fields.find('redacted_keys') ?? [],
  };
}

const defaultPrincipal: Principal = {
  kind: 'agent',
  id: 'agent-1' as PrincipalId,
  projectId: 'project' as ProjectId,
  name: 'helper',
  scopes: new Set(['tools:call']),
  grants: 'all',
  teams: [],
};

const defaultCall: GoldenCall = {
  principal: defaultPrincipal,
  upstream: { slug: 'bank' },
  method: 'tools/call',
  tool: 'pay',
  arguments: {},
  session: undefined,
};

function readCall(fields: Fields): GoldenCall {
  const json = fields.find<string>('arguments_json');
  const toolFilter = fields.read('tool_filter', (filter) => ({
    allowedTools: filter.find<string[]>('allowed_tools') ?? [],
    deniedTools: filter.find<string[]>('denied_tools') ?? [],
  }));
  const tool = fields.find<string | null>('tool');
  return {
    principal: fields.read('principal', readPrincipal) ?? defaultPrincipal,
    upstream: { slug: fields.find('upstream') ?? 'bank', ...defined({ toolFilter }) },
    method: fields.find('method') ?? 'tools/call',
    tool: tool === null ? undefined : (tool ?? 'pay'),
    arguments: json === undefined ? (fields.find('arguments') ?? {}) : parseExactly(json),
    session: fields.find<string | null>('session') ?? undefined,
  };
}

/** As the MCP face reads a message that holds numbers a double may not hold. */
function parseExactly(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? JSON.rawJSON(context.source) : value,
  );
}

function readPrincipal(fields: Fields): Principal {
  return {
    ...defaultPrincipal,
    kind: fields.find('kind') ?? 'agent',
    id: fields.find<PrincipalId>('id') ?? defaultPrincipal.id,
    name: fields.find('name') ?? defaultPrincipal.name,
    teams: fields.find('teams') ?? [],
    ...defined({ apiKeyId: fields.find<ApiKeyId>('api_key_id'), ownerId: fields.find<PrincipalId>('owner_id') }),
  };
}

/** `at` is a time, a time before `now` such as `-60s`, or a list of them: one call for each. */
function readEarlier(fields: Fields, now: number, call: GoldenCall): Earlier[] {
  const at = fields.get<string | string[]>('at');
  const times = (Array.isArray(at) ? at : [at]).map((text) => readTime(text, now));
  const key = fields.find<string>('key');
  if (key !== undefined) {
    const value = fields.get<number>('value');
    return times.map((time) => ({ kind: 'state', key, value, at: time }));
  }
  const earlierCall = fields.read('call', readCall) ?? call;
  const effect = fields.find<Effect>('effect') ?? 'allow';
  return times.map((time) => ({ kind: 'call', call: earlierCall, at: time, effect }));
}

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function readTime(text: string, now = 0): number {
  const [, count, unit] = /^-(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const time = count === undefined ? Date.parse(text) : now - Number(count) * units[unit as keyof typeof units];
  if (Number.isNaN(time)) throw new Error(`'${text}' is no time`);
  return time;
}

function readRequirement(fields: Fields): ApprovalRequirement {
  const policySlug = fields.find<string>('policy') ?? '';
  return {
    ...(policySlug === '' ? {} : { policyId: `id-of-${policySlug}` as Policy['id'] }),
    policySlug,
    policyVersion: fields.find('version') ?? (policySlug === '' ? 0 : 1),
    requiredApprovals: fields.find('required_approvals') ?? 1,
    approverIds: fields.find('approver_ids') ?? [],
    allowSelfApproval: fields.find('allow_self_approval') ?? false,
  };
}

function readDecision(fields: Fields, policies: readonly Policy[]): Partial<Verdict> {
  const decision = fields.read('decision', (stated) => ({
    effect: stated.get<Effect>('effect'),
    reason: stated.get<Verdict['reason']>('reason'),
    ruleIds: stated.find<string[]>('rule_ids') ?? [],
    ...defined({
      message: stated.find<string>('message'),
      policies: stated.find<string[]>('policies')?.map((slug) => refOf(policies, slug)),
      failures: stated.find('failures') === undefined ? undefined : stated.readList('failures', readFailure),
      shadow:
        stated.find('shadow') === undefined
          ? undefined
          : stated.readList('shadow', (shadow) => readShadow(shadow, policies)),
      approval: stated.read('approval', (approval) => ({
        requirements: approval.readList('requirements', readRequirement),
        behavior: approval.find<'error' | 'hold' | 'elicit'>('behavior') ?? 'error',
        expireAfterMs: (approval.find<number>('expire_after_seconds') ?? 3600) * 1000,
        holdTimeoutMs: (approval.find<number>('hold_timeout_seconds') ?? 50) * 1000,
      })),
    }),
  }));
  if (decision === undefined) throw new Error(`${fields.where} lacks 'decision'`);
  return decision;
}

function readShadow(fields: Fields, policies: readonly Policy[]): Verdict['shadow'][number] {
  return {
    policy: refOf(policies, fields.get('policy')),
    effect: fields.get('effect'),
    ruleIds: fields.get('rule_ids'),
    message: fields.get('message'),
    failures: fields.readList('failures', readFailure),
  };
}

function refOf(policies: readonly Policy[], slug: string): Verdict['policies'][number] {
  const found = policies.find((policy) => policy.slug === slug);
  if (found === undefined) throw new Error(`the case has no policy '${slug}'`);
  return { id: found.id, slug, version: found.version };
}

function readFailure(fields: Fields): ConstraintFailure {
  return {
    ruleId: fields.get('rule_id'),
    path: fields.find('path') ?? '',
    check: fields.get('check'),
    expected: fields.get('expected'),
    actual: fields.get('actual'),
  };
}

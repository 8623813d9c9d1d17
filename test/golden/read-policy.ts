import type { PolicyId, ProjectId } from '../../src/domain/ids.ts';
import {
  type ArgumentConstraint,
  type CallPattern,
  defaultApprovalSettings,
  type Policy,
  type PolicyContent,
  type PolicyRule,
  type Refusal,
  type RuleKind,
  type TimeWindow,
  type Weekday,
} from '../../src/domain/policy.ts';
import { defined, type Fields, readAll } from './read-fields.ts';

/** Reads a policy of a case; what is left out has the default that the contract gives it. */
export function readPolicy(fields: Fields): Policy {
  const slug = fields.get<string>('slug');
  const version = fields.find<number>('version') ?? 1;
  return {
    id: `id-of-${slug}` as PolicyId,
    projectId: 'project' as ProjectId,
    slug,
    content: readContent(fields),
    version,
    latestVersion: version,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

function readContent(fields: Fields): PolicyContent {
  return {
    displayName: '',
    priority: fields.find('priority') ?? 0,
    mode: fields.find('mode') ?? 'enforce',
    subjects: fields.read('subjects', readSubjects) ?? { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
    targets: readPatterns(fields, 'targets') ?? [{ upstreamPattern: '*', toolPattern: '*' }],
    rules: fields.readList('rules', readRule),
    approval: {
      ...defaultApprovalSettings,
      ...fields.read('approval', (approval) =>
        defined({
          behavior: approval.find<'error' | 'hold' | 'elicit'>('behavior'),
          expireAfterMs: milliseconds(approval.find('expire_after_seconds')),
          holdTimeoutMs: milliseconds(approval.find('hold_timeout_seconds')),
          requiredApprovals: approval.find<number>('required_approvals'),
          approverIds: approval.find<string[]>('approver_ids'),
          allowSelfApproval: approval.find<boolean>('allow_self_approval'),
        }),
      ),
    },
  };
}

function readSubjects(fields: Fields): PolicyContent['subjects'] {
  return {
    agentIds: fields.find('agent_ids') ?? [],
    userIds: fields.find('user_ids') ?? [],
    apiKeyIds: fields.find('api_key_ids') ?? [],
    teams: fields.find('teams') ?? [],
  };
}

/** A pattern is `{upstream, tool}`; a text alone is the tool of any upstream. */
function readPatterns(fields: Fields, name: string): CallPattern[] | undefined {
  return fields.find<unknown[]>(name)?.map((item, index) =>
    typeof item === 'string'
      ? { upstreamPattern: '*', toolPattern: item }
      : readAll(item, `${fields.where}.${name}[${index}]`, (pattern) => ({
          upstreamPattern: pattern.find('upstream') ?? '*',
          toolPattern: pattern.find('tool') ?? '*',
        })),
  );
}

function readRule(fields: Fields): PolicyRule {
  const id = fields.get<string>('id');
  const kinds = Object.entries(kindReaders).flatMap(([name, reader]) => fields.read(name, reader) ?? []);
  const effect = fields.find<'allow'>('effect');
  if (effect !== undefined) kinds.push({ kind: 'effect', effect });
  // Such as a later release might have stored.
  const unknownKind = fields.find<'effect'>('unknown_kind');
  if (unknownKind !== undefined) kinds.push({ kind: unknownKind, effect: 'allow' });
  const [says] = kinds;
  if (says === undefined || kinds.length > 1) throw new Error(`${fields.where} must have one kind of rule`);
  return { id, message: fields.find('message') ?? '', says };
}

const kindReaders: Readonly<Record<string, (fields: Fields) => RuleKind>> = {
  tools: (fields) => ({
    kind: 'tools',
    allowedTools: fields.find('allowed_tools') ?? [],
    deniedTools: fields.find('denied_tools') ?? [],
    violationEffect: refusal(fields),
  }),
  arguments: (fields) => ({
    kind: 'arguments',
    constraints: fields.readList('constraints', readConstraint),
    evaluation: fields.find('evaluation') ?? 'fail_fast',
  }),
  condition: (fields) => ({
    kind: 'condition',
    expression: fields.get('expression'),
    effect: fields.get('effect'),
  }),
  time_window: (fields) => ({
    kind: 'time_window',
    windows: fields.readList('windows', readWindow),
    timeZone: fields.find('time_zone') ?? 'UTC',
    violationEffect: refusal(fields),
  }),
  rate: (fields) => ({
    kind: 'rate',
    maxCalls: fields.get('max_calls'),
    windowSeconds: fields.get('window_seconds'),
    per: fields.get('per'),
    violationEffect: refusal(fields),
  }),
  session: (fields) => ({
    kind: 'session',
    maxCalls: fields.find('max_calls') ?? 0,
    cumulativeLimits: fields.readList('cumulative_limits', (limit) => ({
      path: limit.get('path'),
      maximum: limit.get('maximum'),
    })),
    counters: fields.readList('counters', (counter) => ({
      name: counter.get('name'),
      increment: readPatterns(counter, 'increment') ?? [],
      decrement: readPatterns(counter, 'decrement') ?? [],
      maximum: counter.get('maximum'),
    })),
    violationEffect: refusal(fields),
  }),
  sequence: (fields) => ({
    ...defined({ withinMs: milliseconds(fields.find('within_seconds')) }),
    kind: 'sequence',
    onlyAfter: readPatterns(fields, 'only_after') ?? [],
    neverAfter: readPatterns(fields, 'never_after') ?? [],
    violationEffect: refusal(fields),
  }),
};

function refusal(fields: Fields): Refusal {
  return fields.find('violation_effect') ?? 'deny';
}

function readConstraint(fields: Fields): ArgumentConstraint {
  const types = [
    fields.read('number', (type) => ({
      kind: 'number' as const,
      ...defined({
        minimum: type.find<number>('minimum'),
        maximum: type.find<number>('maximum'),
        greaterThan: type.find<number>('greater_than'),
        lessThan: type.find<number>('less_than'),
        greaterThanOrEqual: type.find<number>('greater_than_or_equal'),
        lessThanOrEqual: type.find<number>('less_than_or_equal'),
      }),
    })),
    fields.read('string', (type) => ({
      kind: 'string' as const,
      in: type.find<string[]>('in') ?? [],
      notIn: type.find<string[]>('not_in') ?? [],
      ...defined({
        regex: type.find<string>('regex'),
        notRegex: type.find<string>('not_regex'),
        minLength: type.find<number>('min_length'),
        maxLength: type.find<number>('max_length'),
      }),
    })),
    fields.read('array', (type) => ({
      kind: 'array' as const,
      ...defined({ minItems: type.find<number>('min_items'), maxItems: type.find<number>('max_items') }),
    })),
    fields.read('boolean', (type) => ({
      kind: 'boolean' as const,
      ...defined({ mustBe: type.find<boolean>('must_be') }),
    })),
  ].filter((type) => type !== undefined);
  if (types.length > 1) throw new Error(`${fields.where} must have one type at most`);
  return {
    path: fields.get('path'),
    effect: fields.find('effect') ?? 'deny',
    required: fields.find('required') ?? false,
    notNull: fields.find('not_null') ?? false,
    ...defined({ type: types[0] }),
  };
}

const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

function readWindow(fields: Fields): TimeWindow {
  return {
    days: (fields.find<string[]>('days') ?? []).map((day) => weekdayOf(day, fields.where)),
    startMinute: minuteOf(fields.find('start') ?? '00:00'),
    endMinute: minuteOf(fields.find('end') ?? '24:00'),
  };
}

function weekdayOf(name: string, where: string): Weekday {
  const index = weekdays.indexOf(name);
  if (index < 0) throw new Error(`${where}: '${name}' is no day`);
  return (index + 1) as Weekday;
}

function minuteOf(text: string): number {
  const [hours, minutes] = text.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

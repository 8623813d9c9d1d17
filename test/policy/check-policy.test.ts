import { describe, expect, test } from 'vitest';
import { type ArgumentConstraint, defaultApprovalSettings, type RuleKind } from '../../src/domain/policy.ts';
import { check, onlyAfter, patterns, policy } from './sample-policy.ts';

function constraint(fields: Partial<ArgumentConstraint>): RuleKind {
  const defaults: ArgumentConstraint = { path: 'a', effect: 'deny', required: false, notNull: false };
  return { kind: 'arguments', evaluation: 'fail_fast', constraints: [{ ...defaults, ...fields }] };
}

const texts = { kind: 'string', in: [], notIn: [] } as const;
const tools = { kind: 'tools', allowedTools: [], deniedTools: [], violationEffect: 'deny' } as const;
const session = { kind: 'session', maxCalls: 0, cumulativeLimits: [], counters: [], violationEffect: 'deny' } as const;
const counter = { name: 'open', increment: patterns('open'), decrement: patterns('close'), maximum: 1 };
const hours = { days: [], startMinute: 0, endMinute: 60 };

test('a policy that can work has no violations', () => {
  const rules: RuleKind[] = [
    { kind: 'effect', effect: 'allow' },
    { ...tools, allowedTools: ['get_*', 'put'], deniedTools: ['get_secret', 'drop*'] },
    constraint({ type: { kind: 'number', minimum: 1, maximum: 1 } }),
    constraint({ type: { kind: 'number', greaterThan: 1, lessThan: 2 } }),
    constraint({ path: 'items[*].sku', type: { ...texts, regex: '^[A-Z]+$', in: ['A', 'b'] } }),
    constraint({ type: { kind: 'boolean' } }),
    constraint({ required: true }),
    { kind: 'condition', expression: 'call.arguments.amount > 100', effect: 'require_approval' },
    { kind: 'time_window', windows: [hours], timeZone: 'Europe/Berlin', violationEffect: 'deny' },
    { kind: 'rate', maxCalls: 1, windowSeconds: 1, per: 'agent', violationEffect: 'deny' },
    { ...session, maxCalls: 1, counters: [counter] },
    { ...onlyAfter('login'), neverAfter: patterns('logout'), withinMs: 1000 },
  ];

  expect(check(rules, { targets: patterns('pay') })).toEqual([]);
  expect(check([])).toEqual([]);
});

describe('what could not work is told with its place', () => {
  const field = 'content.rules[0]';
  const cases: Readonly<Record<string, readonly [RuleKind, string]>> = {
    'lists of tools that are empty': [tools, `${field}.tools: names no tool: fill allowed_tools or denied_tools`],
    'a tool that is allowed and denied': [
      { ...tools, allowedTools: ['get', 'put_file'], deniedTools: ['put_*'] },
      `${field}.tools.allowed_tools[1]: can never be allowed, because denied_tools has 'put_*'`,
    ],
    'a rule without constraints': [
      { kind: 'arguments', evaluation: 'fail_fast', constraints: [] },
      `${field}.arguments.constraints: must have at least one constraint`,
    ],
    'a path that cannot be read': [
      constraint({ path: 'a..b', required: true }),
      `${field}.arguments.constraints[0].path: The path cannot be read from character 2 on: "..b". Write names separated by dots, [n] for one item, [*] for each, and ["a name"] for a name with other characters.`,
    ],
    'a constraint that checks nothing': [
      constraint({}),
      `${field}.arguments.constraints[0]: checks nothing: set a type, required or not_null`,
    ],
    'bounds that exclude each other': [
      constraint({ type: { kind: 'number', minimum: 10, lessThanOrEqual: 9 } }),
      `${field}.arguments.constraints[0].number: nothing can pass: minimum is 10 and less_than_or_equal is 9`,
    ],
    'equal bounds of which one is strict': [
      constraint({ type: { kind: 'number', greaterThan: 10, maximum: 10 } }),
      `${field}.arguments.constraints[0].number: nothing can pass: greater_than is 10 and maximum is 10`,
    ],
    'lengths that exclude each other': [
      constraint({ type: { ...texts, minLength: 2, maxLength: 1 } }),
      `${field}.arguments.constraints[0].string: nothing can pass: min_length is 2 and max_length is 1`,
    ],
    'counts that exclude each other': [
      constraint({ type: { kind: 'array', minItems: 2, maxItems: 1 } }),
      `${field}.arguments.constraints[0].array: nothing can pass: min_items is 2 and max_items is 1`,
    ],
    'a list whose texts are all refused': [
      constraint({ type: { ...texts, in: ['aa', 'b'], notIn: ['b'], maxLength: 1 } }),
      `${field}.arguments.constraints[0].string.in: nothing can pass: the other checks refuse each of these texts`,
    ],
    'a regex that is none': [
      constraint({ type: { ...texts, regex: '(' } }),
      `${field}.arguments.constraints[0].string.regex: the regular expression is no RE2 expression: missing closing ): \`(\``,
    ],
    'a not_regex that is too large': [
      constraint({ type: { ...texts, notRegex: '.{1000}.{1000}.{1000}' } }),
      `${field}.arguments.constraints[0].string.not_regex: the regular expression is too large, because its repetitions multiply`,
    ],
    'an expression with an unknown field': [
      { kind: 'condition', expression: 'true &&\n  principal.role == "x"', effect: 'deny' },
      `${field}.condition.expression: 2:12: 'principal' has no field 'role'; there is principal.kind, principal.id, principal.name, principal.api_key_id, principal.teams, principal.owner_id`,
    ],
    'an expression of 10 kB': [
      { kind: 'condition', expression: `call.tool == "${'x'.repeat(10_000)}"`, effect: 'deny' },
      `${field}.condition.expression: the expression is longer than 4096 characters`,
    ],
    'a time zone that is none': [
      { kind: 'time_window', windows: [hours], timeZone: 'Europe/Berln', violationEffect: 'deny' },
      `${field}.time_window.time_zone: is no time zone: use an IANA name such as 'Europe/Berlin'`,
    ],
    'a rule without windows': [
      { kind: 'time_window', windows: [], timeZone: 'UTC', violationEffect: 'deny' },
      `${field}.time_window.windows: must have at least one window`,
    ],
    'a session rule that is empty': [
      session,
      `${field}.session: limits nothing: set max_calls, cumulative_limits or counters`,
    ],
    'a cumulative limit of no path': [
      { ...session, cumulativeLimits: [{ path: '[0]', maximum: 1 }] },
      `${field}.session.cumulative_limits[0].path: The path must begin with the name of an argument. Write names separated by dots, [n] for one item, [*] for each, and ["a name"] for a name with other characters.`,
    ],
    'two counters of one name': [
      { ...session, counters: [counter, counter] },
      `${field}.session.counters[1].name: is used by an earlier counter: each name may be used once`,
    ],
    'a counter that counts down as it counts up': [
      { ...session, counters: [{ ...counter, decrement: patterns('op*') }] },
      `${field}.session.counters[0].increment[0]: can never count up, because decrement has 'op*'`,
    ],
    'a sequence rule that is empty': [
      onlyAfter(),
      `${field}.sequence: demands nothing: fill only_after or never_after`,
    ],
    'a time without calls that must come before': [
      { ...onlyAfter(), neverAfter: patterns('x'), withinMs: 1 },
      `${field}.sequence.within: says nothing without only_after`,
    ],
    'a call that must and must not come before': [
      { ...onlyAfter('bank/login'), neverAfter: patterns('login') },
      `${field}.sequence.only_after: can never be met, because each of these calls is on never_after too`,
    ],
  };
  test.each(Object.entries(cases))('%s', (_name, [says, violation]) => {
    expect(check([says], { targets: patterns('pay') })).toEqual([violation]);
  });

  test('all at once, each with its own place', () => {
    expect(check([tools, { kind: 'effect', effect: 'allow' }, session], { targets: [] })).toEqual([
      'content.targets: must name at least one pattern',
      `${field}.tools: names no tool: fill allowed_tools or denied_tools`,
      'content.rules[2].session: limits nothing: set max_calls, cumulative_limits or counters',
    ]);
  });

  test('ids that are used twice, and more approvals than approvers', () => {
    const rules = ['a', 'b', 'a', '', ''].map(
      (id) => ({ id, message: '', says: { kind: 'effect', effect: 'deny' } }) as const,
    );
    const approval = { ...defaultApprovalSettings, requiredApprovals: 2, approverIds: ['ann', 'ann'] };

    expect(check([], { rules, approval })).toEqual([
      'content.approval.required_approvals: asks for 2 approvals, but approver_ids names 1',
      'content.rules[2].id: is used by an earlier rule: each id may be used once',
    ]);
  });
});

describe('what one policy may take is limited, and checked soon', () => {
  const room = 'together: this is the first that has no room';
  const tooLarge = `the regular expressions of the policy are too large ${room}`;
  const field = 'content.rules';
  const regex = (pattern: string) => constraint({ type: { ...texts, regex: pattern } });
  const condition = (expression: string): RuleKind => ({ kind: 'condition', expression, effect: 'deny' });
  const matches = (index: number) =>
    condition(Array.from({ length: 40 }, (_, at) => `call.tool.matches("(a|b){1,40}${index}x${at}")`).join(' || '));
  const cases: Readonly<Record<string, readonly [readonly RuleKind[], readonly string[]]>> = {
    '400 short conditions and 400 short regular expressions fit': [
      many(400, (at) => (at % 2 === 0 ? regex(`^[a-z]{1,8}-${at}$`) : condition(`call.arguments.amount > ${at}.0`))),
      [],
    ],
    'regular expressions with many instructions': [
      many(100, (at) => regex(`(a|b){1,99}${at}`)),
      [`${field}[48].arguments.constraints[0].string.regex: ${tooLarge}`],
    ],
    'regular expressions with large classes': [
      many(100, (at) => regex(`(?i)\\pL\\pN\\pS\\p{Greek}${at}`)),
      [`${field}[16].arguments.constraints[0].string.regex: ${tooLarge}`],
    ],
    'regular expressions within conditions': [many(470, matches), [`${field}[2].condition.expression: ${tooLarge}`]],
    'regular expressions of one condition': [
      [condition(many(100, (at) => `call.tool.matches("[a-z]{1,999}${at}")`).join(' || '))],
      [`${field}[0].condition.expression: 1:361: the regular expressions up to this one are too large together`],
    ],
    'conditions that are long': [
      many(500, (at) => condition(`call.tool == "${'x'.repeat(2000)}${at}"`)),
      [`${field}[16].condition.expression: the expressions of the policy are longer than 32768 characters ${room}`],
    ],
    'a range whose case is ignored': [
      [regex('(?i)[-a-\\x{1ffff}]')],
      [
        `${field}[0].arguments.constraints[0].string.regex: the regular expression is too large, because it ignores the case of too many characters`,
      ],
    ],
    'texts against which a slow expression is tried': [
      many(20, (at) => constraint({ type: { ...texts, regex: `[ab]*a[ab]{90}$|${at}`, in: many(100, abText) } })),
      [],
    ],
  };
  test.each(Object.entries(cases))('%s', (_name, [rules, violations]) => {
    const start = performance.now();

    expect(check(rules)).toEqual(violations);

    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('of what takes long to refuse only the first are told', () => {
    const start = performance.now();

    expect(check(many(2000, () => regex('.{1000}.{1000}.{1000}')))).toHaveLength(7);
    expect(check(many(400, () => condition(`call.tool.matches("${'.{1000}'.repeat(30)}")`)))).toHaveLength(11);
    expect(check(many(2000, () => regex('(')))).toHaveLength(2000);

    expect(performance.now() - start).toBeLessThan(1000);
  });

  test('lists of tools are compared soon', () => {
    const allowedTools = many(1000, (at) => `a${at}`);
    const rule = { ...tools, allowedTools, deniedTools: many(1000, (at) => `d${at}*`) };
    const start = performance.now();

    expect(check([...many(40, () => rule), { ...rule, deniedTools: ['x*', 'a99*'] }])).toHaveLength(11);

    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe('what the policies of a project may take together is limited', () => {
  const together = (what: string) =>
    `content.rules: ${what} of the project are too large together: make this policy smaller, or delete another or turn it off.`;
  const regexes = (slug: string) =>
    many(45, (at) => constraint({ type: { ...texts, regex: `(a|b){1,99}${slug}${at}` } }));
  const conditions = (slug: string) =>
    many(
      8,
      (at): RuleKind => ({
        kind: 'condition',
        expression: `call.tool == "${slug}${'x'.repeat(4000)}${at}"`,
        effect: 'deny',
      }),
    );
  const lists = (slug: string) =>
    many(2, (): RuleKind => ({ ...tools, deniedTools: many(1000, (at) => slug.repeat(200) + at) }));

  test.each([
    ['The regular expressions', 11, regexes],
    ['The CEL expressions', 9, conditions],
    ['The policies', 12, lists],
  ] as const)('%s', (what, count, rules) => {
    const others = many(count, (at) => policy(`o${at}${what.length}`, rules(`o${at}`)));

    expect(check(rules('p'), {}, others)).toEqual([together(what)]);
    expect(check(rules('p'), {}, others.slice(4))).toEqual([]);
    expect(check(rules('p'), { mode: 'off' }, others)).toEqual([]);
    expect(check([{ kind: 'effect', effect: 'deny' }], {}, others)).toEqual(
      what === 'The policies' ? [together(what)] : [],
    );
  });

  test('sequences that are too many to follow', () => {
    const targets = (from: number) => patterns(...many(250, (at) => `u${at % 50}*/t${from + at}*`));
    const rules = many(500, (at) => onlyAfter(...many(20, (step) => `t${(at * 7 + step * 13) % 997}*`)));
    const others = many(50, (at) => policy(`p${at}`, rules, { targets: targets(at) }));
    const start = performance.now();

    expect(check(rules, { targets: targets(3) }, others)[0]).toBe(
      'content.rules: The sequences of the policies, and the targets, are too many to find out whether these can ever be met: use fewer patterns.',
    );

    expect(performance.now() - start).toBeLessThan(2000);
  });
});

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function abText(index: number): string {
  return `${'ab'.repeat(40)}${'a'.repeat(index)}b`;
}

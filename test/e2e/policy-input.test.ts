import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EnforcementMode } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect, EvaluationMode } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import type { FieldViolation, PortcullisError } from '../../sdk/src/errors.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, post, toolCall } from './support-mcp-session.ts';
import {
  deny,
  effectRule,
  operatorOf,
  type PolicyContentInit,
  policyOf,
  type RuleKindInit,
  sdkOf,
  slugRef,
} from './support-policies.ts';
import { addUser } from './support-principals.ts';
import { startRecordingUpstream } from './support-recording-upstream.ts';

let gateway: GatewayProcess;
let portcullis: PortcullisClient;
let operator: PortcullisClient;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_DATABASE_URL: 'memory://' } });
  const recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  portcullis = sdkOf(gateway);
  operator = await operatorOf(gateway);
  await portcullis.upstreams.createUpstream({ slug: 'shop', transport: streamableHttp(recorder.url) });
});

afterAll(cleanUp.run);

/** The places with which a policy is refused; it must not exist afterwards. */
async function violationsOf(content: PolicyContentInit): Promise<readonly FieldViolation[]> {
  const error = await portcullis.policies.createPolicy({ slug: 'refused', content }).then(
    () => 'saved',
    (refusal: PortcullisError) => refusal,
  );
  expect(error).toMatchObject({ reason: 'validation_failed' });
  await expect(portcullis.policies.getPolicy({ policy: slugRef('refused') })).rejects.toMatchObject({
    reason: 'permission_denied',
  });
  return (error as PortcullisError).violations;
}

async function fieldsOf(content: PolicyContentInit): Promise<string[]> {
  return (await violationsOf(content)).map(({ field }) => field);
}

const condition = (expression: string): RuleKindInit => ({
  case: 'condition',
  value: { expression, effect: Effect.DENY },
});
const regex = (pattern: string): RuleKindInit => ({
  case: 'arguments',
  value: { constraints: [{ path: 'text', type: { case: 'string', value: { regex: pattern } } }] },
});
const onlyAfter = (tool: string): RuleKindInit => ({ case: 'sequence', value: { onlyAfter: [{ toolPattern: tool }] } });

/** The milliseconds that a task takes. */
async function timeOf(task: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await task();
  return performance.now() - began;
}

/** Whether a call goes through, and the milliseconds until the answer. */
async function callTool(tool: string, args: Record<string, unknown>) {
  const began = performance.now();
  const { messages } = await post(callerOf(gateway, 'shop'), toolCall(1, tool, args));
  return { isLetThrough: messages[0]?.['result'] !== undefined, ms: performance.now() - began };
}

describe('a regular expression', () => {
  test.each([
    ['a look-behind', '(?<=a)b'],
    ['a look-ahead', '(?=a)b'],
    ['a back-reference', '(a)\\1'],
    ['an open bracket', '[a-'],
    ['a repetition of thousands', 'a{1001}'],
  ])('with %s is refused on save, with its place', async (_what, pattern) => {
    expect(await fieldsOf(policyOf('any', regex(pattern)))).toEqual([
      'content.rules[0].arguments.constraints[0].string.regex',
    ]);
  });

  test('[I3-BAD-REGEX] longer than 256 characters is refused on save, with its place', async () => {
    expect(await fieldsOf(policyOf('any', regex('a'.repeat(257))))).toEqual([
      'content.rules[0].arguments.constraints[0].string.regex',
    ]);
  });

  test.each([
    '^(a+)+$',
    '^(a|aa)+$',
    '^(a*)*b$',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '(.*)*(.*)*(.*)*=[0-9]{1,500}',
  ])('that would backtrack for ever is matched in bounded time: %s', async (pattern) => {
    const tool = `match-${Buffer.from(pattern).toString('hex').slice(0, 20)}`;
    const slug = tool;
    await portcullis.policies.createPolicy({ slug, content: policyOf(tool, regex(pattern)) });
    // As large as a message may be.
    const texts = [`${'a'.repeat(900_000)}!`, 'x'.repeat(900_000), 'aB'.repeat(400_000)];
    for (const text of texts) {
      expect((await callTool(tool, { text })).ms).toBeLessThan(2_000);
    }
    expect((await callTool('another', {})).isLetThrough).toBe(true);
    await portcullis.policies.deletePolicy({ policy: slugRef(slug) });
  });
});

describe('an expression', () => {
  test('[I3-BAD-EXPRESSION] of 10 kB is refused on save, with its place', async () => {
    const long = Array.from({ length: 400 }, (_, n) => `call.arguments.a == ${n}.0`).join(' || ');
    expect(long.length).toBeGreaterThan(10_000);
    expect(await fieldsOf(policyOf('any', condition(long)))).toEqual(['content.rules[0].condition.expression']);
  });

  test.each([
    ['an unknown field of the call', 'call.argument.amount > 5.0', /argument/],
    ['an unknown field of the principal', 'principal.email == "x"', /email/],
    ['an unknown variable', 'caller.id == "x"', /caller/],
    ['an unknown function', 'call.tool.explode()', /explode/],
    ['another type than bool', 'call.tool', /true or false, not a value of type string/],
    ['types that cannot be compared', 'call.tool == 5', /./],
    ['a syntax error', 'call.tool == ', /./],
  ])('with %s is refused on save, with line and column', async (_what, expression, reason) => {
    const [violation, ...others] = await violationsOf(policyOf('any', condition(expression)));
    expect(others).toEqual([]);
    expect(violation).toMatchObject({
      field: 'content.rules[0].condition.expression',
      description: expect.stringMatching(/\b1:\d+\b/),
    });
    expect(violation?.description).toMatch(reason);
  });

  test.each([
    ['nested a thousand times', `${'('.repeat(1000)}true${')'.repeat(1000)}`],
    ['of a thousand conditions within each other', `${'true ? true : '.repeat(280)}false`],
    ['of five nested loops', nestedLoops(5)],
  ])('%s is refused on save, soon', async (_what, expression) => {
    const ms = await timeOf(async () =>
      expect(await fieldsOf(policyOf('any', condition(expression)))).toEqual(['content.rules[0].condition.expression']),
    );
    expect(ms).toBeLessThan(2_000);
  });

  test('[I3-EXPRESSION-COST] that costs too much for some arguments denies them, soon, and holds nobody up', async () => {
    const expression = 'call.arguments.a.exists(x, call.arguments.a.exists(y, x + y == -1.0))';
    const content = policyOf('loops', condition(expression));
    await portcullis.policies.createPolicy({ slug: 'loops', content });
    expect((await callTool('loops', { a: [1, 2, 3] })).isLetThrough).toBe(true);
    const numbers = Array.from({ length: 100_000 }, (_, n) => n);
    const { isLetThrough, ms } = await callTool('loops', { a: numbers });
    expect(isLetThrough).toBe(false);
    expect(ms).toBeLessThan(2_000);
    const { decisions } = await portcullis.decisions.listDecisions({ filter: { tool: 'loops', effect: Effect.DENY } });
    expect(decisions).toMatchObject([{ ruleIds: ['loops/r'], failures: [{ check: 'expression' }] }]);
  });
});

test('[I3-EXPRESSION-COST] however many rules look at a large call, it is decided soon, and holds nobody up', async () => {
  const rules = Array.from({ length: 40 }, (_, n) => {
    const constraints = Array.from({ length: 20 }, (__, m) => ({
      path: 'text',
      type: { case: 'string' as const, value: { notRegex: `a{${m + 1}}.*b{${n + 1}}` } },
    }));
    const evaluation = EvaluationMode.COLLECT_ALL;
    return n % 2 === 0
      ? { id: `r${n}`, kind: { case: 'arguments' as const, value: { constraints, evaluation } } }
      : { id: `r${n}`, kind: condition(`call.arguments.list.exists(x, x == -${n}.0)`) };
  });
  await portcullis.policies.createPolicy({ slug: 'costly', content: { targets: [{ toolPattern: 'costly' }], rules } });
  const args = { text: 'ab'.repeat(200_000), list: Array.from({ length: 100_000 }, (_, n) => n % 10) };
  const costly = callTool('costly', args);
  const other = await callTool('another', {});
  expect(other.isLetThrough).toBe(true);
  expect(Math.max(other.ms, (await costly).ms)).toBeLessThan(2_000);
  await portcullis.policies.deletePolicy({ policy: slugRef('costly') });
});

function nestedLoops(depth: number): string {
  const variables = Array.from({ length: depth }, (_, n) => `v${n}`);
  const heads = variables.map((name) => `call.arguments.a.exists(${name}, `).join('');
  return `${heads}${variables.join(' + ')} == 1.0${')'.repeat(depth)}`;
}

describe('sequences that wait for each other', () => {
  test('[I3-CYCLES] are refused within one policy, with the rules', async () => {
    const content = {
      targets: [{ toolPattern: 'a' }],
      rules: [{ id: 'self', kind: onlyAfter('a') }],
    };
    expect(await fieldsOf(content)).toEqual(['content.rules[0].sequence.only_after']);
  });

  test('[I3-CYCLES] are refused over several policies, when the last is saved or put in force', async () => {
    const save = (slug: string, tool: string, after: string, mode = EnforcementMode.ENFORCE) =>
      portcullis.policies.createPolicy({ slug, content: policyOf(tool, onlyAfter(after), { mode }) });
    await save('b-after-a', 'cycle-b', 'cycle-a');
    await save('c-after-b', 'cycle-c', 'cycle-b');
    const field = 'content.rules[0].sequence.only_after';
    const [violation] = await violationsOf(policyOf('cycle-a', onlyAfter('cycle-c')));
    expect(violation).toMatchObject({ field, description: expect.stringContaining('c-after-b/r') });

    await save('a-after-c', 'cycle-a', 'sign-in');
    const policy = slugRef('a-after-c');
    const cyclic = policyOf('cycle-a', onlyAfter('cycle-c'));
    const update = (change: NonNullable<Parameters<typeof portcullis.policies.updatePolicy>[0]['change']>) =>
      portcullis.policies.updatePolicy({ policy, change });
    await expect(update({ case: 'content', value: cyclic })).rejects.toMatchObject({ violations: [{ field }] });
    await expect(update({ case: 'draft', value: cyclic })).rejects.toMatchObject({
      violations: [{ field: 'draft.rules[0].sequence.only_after' }],
    });
    expect((await portcullis.policies.getPolicy({ policy })).policy).toMatchObject({ version: 1, latestVersion: 1 });
  });
});

describe('everything else that could not work is refused with its place', () => {
  const number = (value: object): RuleKindInit => ({
    case: 'arguments',
    value: { constraints: [{ path: 'n', type: { case: 'number', value } }] },
  });
  const path = (text: string): RuleKindInit => ({
    case: 'arguments',
    value: { constraints: [{ path: text, required: true }] },
  });
  const at = (place: string) => `content.rules[0].${place}`;
  test.each<[string, RuleKindInit, string]>([
    ['a broken path', path('items[*.sku'), at('arguments.constraints[0].path')],
    ['a path into the prototype', path('__proto__..x'), at('arguments.constraints[0].path')],
    ['bounds that exclude each other', number({ minimum: 5, maximum: 4 }), at('arguments.constraints[0].number')],
    ['a bound that is no number', number({ minimum: Number.NaN }), at('arguments.constraints[0].number.minimum')],
    [
      'an unknown time zone',
      { case: 'timeWindow', value: { windows: [{}], timeZone: 'Europe/Atlantis' } },
      at('time_window.time_zone'),
    ],
    [
      'hours that do not exist',
      { case: 'timeWindow', value: { windows: [{ start: '25:00' }] } },
      at('time_window.windows[0].start'),
    ],
    ['no limit at all', { case: 'session', value: {} }, at('session')],
    ['lists without tools', { case: 'tools', value: {} }, at('tools')],
    ['a sequence of nothing', { case: 'sequence', value: {} }, at('sequence')],
    ['a rate of nothing', { case: 'rate', value: { maxCalls: 0, windowSeconds: 1, per: 1 } }, at('rate.max_calls')],
  ])('%s', async (_what, kind, field) => {
    expect(await fieldsOf(policyOf('any', kind))).toEqual([field]);
  });

  test('[I3-BAD-POLICIES] all of it at once', async () => {
    const rules = [
      { kind: regex('(') },
      { kind: condition('nobody') },
      { kind: { case: 'tools' as const, value: {} } },
    ];
    const content = { targets: [{ toolPattern: 'x' }], rules, approval: { requiredApprovals: 0 } };
    expect(await fieldsOf(content)).toEqual([
      'content.rules[0].arguments.constraints[0].string.regex',
      'content.rules[1].condition.expression',
      'content.rules[2].tools',
    ]);
  });
});

describe('size', () => {
  test('[I3-MANY-RULES] a policy of 1,000 rules is refused, with the place', async () => {
    const rules = Array.from({ length: 1000 }, (_, n) => ({ id: `r${n}`, kind: deny }));
    expect(await fieldsOf({ targets: [{ toolPattern: 'any' }], rules })).toEqual(['content.rules']);
  });

  test('a policy of 500 rules is saved and decides', async () => {
    const rules = Array.from({ length: 500 }, (_, n) => ({
      id: `r${n}`,
      kind: n % 2 === 0 ? condition(`call.arguments.n == ${n}.0`) : regex(`^[a-z]{0,${n % 50}}$`),
    }));
    const ms = await timeOf(() =>
      portcullis.policies.createPolicy({ slug: 'large', content: { targets: [{ toolPattern: 'large' }], rules } }),
    );
    expect(ms).toBeLessThan(5_000);
    expect((await callTool('large', { n: 1, text: '' })).isLetThrough).toBe(true);
    expect((await callTool('large', { n: 498, text: '' })).isLetThrough).toBe(false);
    const again = await callTool('large', { n: 1, text: '' });
    expect(again.isLetThrough).toBe(true);
    expect(again.ms).toBeLessThan(200);
  });

  test('[I3-MANY-RULES] 1,000 policies are saved and decide, the next one is refused, and other projects are not held up', async () => {
    const { project } = await operator.projects.createProject({ slug: 'crowded', defaultEffect: Effect.ALLOW });
    const here = { value: { case: 'id' as const, value: project?.id ?? '' } };
    const create = (n: number) =>
      operator.policies.createPolicy({
        project: here,
        slug: `p${n}`,
        content: policyOf(n % 2 === 0 ? `tool-${n}` : `tool-${n}*`, n === 998 ? deny : effectRule(Effect.ALLOW)),
      });
    for (let begin = 0; begin < 1000; begin += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, n) => create(begin + n)));
    }
    await expect(create(1000)).rejects.toMatchObject({ reason: 'plan_limit_exceeded', metadata: { limit: '1000' } });
    const { apiKey } = await addUser(operator, 'crowd', { project: 'crowded' });
    const transport = streamableHttp('http://127.0.0.1:9/');
    await operator.upstreams.createUpstream({ project: here, slug: 'crowd', transport });
    const answer = await post(callerOf(gateway, 'crowd', apiKey), toolCall(1, 'tool-998'));
    expect(answer.messages).toMatchObject([{ error: { code: -32001, data: { rule_ids: ['p998/r'] } } }]);
    expect((await callTool('another', {})).isLetThrough).toBe(true);
  });
});

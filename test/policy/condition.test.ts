import { describe, expect, test } from 'vitest';
import type { ApiKeyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { compileCondition } from '../../src/policy/condition.ts';
import type { PolicyCall } from '../../src/policy/policy-call.ts';

const now = Date.parse('2026-11-20T10:00:00.250Z');

function holds(expression: string, args: unknown = {}, call: Partial<PolicyCall> = {}): boolean {
  return compileCondition(expression)({
    now,
    call: {
      principal: {
        kind: 'agent',
        id: 'agent-1' as PrincipalId,
        name: 'helper',
        projectId: 'project' as ProjectId,
        apiKeyId: 'key-1' as ApiKeyId,
        teams: ['ops', 'dev'],
      },
      upstream: { slug: 'bank' },
      method: 'tools/call',
      tool: 'pay',
      session: undefined,
      arguments: args,
      ...call,
    },
  });
}

/** As the MCP face reads a message whose numbers a double may not hold. */
function exact(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? JSON.rawJSON(context.source) : value,
  );
}

describe('what is wrong with an expression is told with its line and column', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /^1:1: found end of input/],
    ['call.tool ==', /^1:11: found = but expecting end of input/],
    ['call.tool == "x" &&\n  foo bar', /^2:7: found b/],
    ['principal.nme == "x"', /^1:10: 'principal' has no field 'nme'; there is principal.kind, principal.id,/],
    ['call.tool == "x" ||\n  call.arg.x', /^2:7: 'call' has no field 'arg'; there is call.tool, call.arguments$/],
    ['agent.id == "x"', /^1:1: there is no 'agent'; an expression can use call, principal, upstream, request, session/],
    ['constructor == 1', /^1:1: there is no 'constructor'/],
    ['call.constructor == 1', /^1:5: 'call' has no field 'constructor'/],
    ['call.__proto__ == 1', /^1:5: 'call' has no field '__proto__'/],
    ['call == principal', /^1:1: 'call' cannot be used by itself/],
    ['dyn(call).secret', /^1:5: 'call' cannot be used by itself/],
    ['call["tool"] == "pay"', /^1:1: 'call' cannot be used by itself/],
    ['call.tool', /^1:5: the expression must be true or false, not a value of type string/],
    ['1', /^1:1: the expression must be true or false, not a value of type int/],
    ['call.tool == 1', /^1:11: '==' does not take \(string, int\)/],
    ['call.tool > 1', /^1:11: '>' does not take \(string, int\)/],
    ['call.tool in [1, 2]', /^1:11: 'in' does not take \(string, list\(int\)\)/],
    ['"a" in call.tool', /^1:4: 'in' does not take \(string, string\)/],
    ['!call.tool', /^1:1: '!' does not take \(string\)/],
    ['call.tool && true', /^1:1: '&&' takes what is true or false, not a value of type string/],
    ['call.tool ? true : false', /^1:1: '\?:' takes what is true or false, not a value of type string/],
    ['(true ? 1 : "a") == 1', /^1:2: '\?:' chooses between int and string/],
    ['call.tool.x == 1', /^1:10: a value of type string has no field 'x'/],
    ['call.tool[0] == "p"', /has no items/],
    ['principal.teams["a"] == "p"', /an item of list\(string\) is found by int, not by string/],
    ['call.tool.all(c, c == "x")', /^1:5: a value of type string has no items/],
    ['frobnicate(call.tool)', /^1:1: there is no function 'frobnicate'/],
    ['call.tool.frobnicate()', /there is no function 'frobnicate'/],
    ['has(call.tool)', /call.tool is always there, so has\(\) is not needed/],
    ['has(1)', /has\(\) takes a field, such as has\(call.arguments.amount\)/],
    ['[1].all(call, call.tool == "x")', /'call' already has a meaning: choose another name/],
    ['[1].all(int, int == 1)', /'int' already has a meaning: choose another name/],
    ['call.tool.matches("(")', /^1:19: the regular expression is no RE2 expression: missing closing \)/],
    ['call.tool.matches(call.arguments.pattern)', /must be written as a text, so that it can be checked/],
    [`call.tool.matches("${'x'.repeat(257)}")`, /the regular expression is longer than 256 characters/],
    ['call.tool.matches(".{1000}.{1000}.{1000}")', /the regular expression is too large/],
    ['request.time.getHours("Europe/Berln") == 1', /^1:23: there is no time zone 'Europe\/Berln'/],
    ['request.time.getHours(call.tool) == 1', /the time zone must be written as a text/],
    ['google.protobuf.Timestamp{} == request.time', /a google.protobuf.Timestamp cannot be made in a condition/],
    [`"${'x'.repeat(4096)}" == ""`, /the expression is longer than 4096 characters/],
    [`${'('.repeat(101)}true${')'.repeat(101)}`, /the expression has more than 100 brackets inside of each other/],
    [`${'['.repeat(2000)}${']'.repeat(2000)} == []`, /the expression has more than 100 brackets/],
    [`${'1+'.repeat(101)}1 == 1`, /the expression is nested deeper than 100 levels/],
    [`${'a?b:'.repeat(1000)}a`, /there is no 'a'|the expression is nested deeper than 100 levels/],
    [`[${'1,'.repeat(2000)}1] == []`, /the expression has more than 2000 parts/],
    ['[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, true)))))', /more than 4 macros such as all\(\) inside/],
  ];
  for (const [expression, message] of cases) {
    test(`refused: ${expression.slice(0, 60)}`, () => {
      expect(() => compileCondition(expression)).toThrow(expect.objectContaining({ reason: 'validation_failed' }));
      expect(() => compileCondition(expression)).toThrow(message);
    });
  }
});

test('every expression of 4,096 characters is refused, and soon', () => {
  const units = ['(', '[', '{1:', '!', '-', 'f(', 'a[', 'a.', 'a?', 'a?b:', '1+', '"', "'''", 'r"', '//', '[1].all(a,', '\\', 'a&&', 'has(']; // biome-ignore format: a list
  for (const unit of units) {
    const expression = unit.repeat(4096 / unit.length);
    const start = performance.now();

    expect(() => compileCondition(expression)).toThrow(expect.objectContaining({ reason: 'validation_failed' }));

    expect(performance.now() - start).toBeLessThan(2000);
  }
});

describe('an expression that fails for a call is told without values of the call', () => {
  test.each([
    ['call.arguments.missing > 1', {}, "1:15: there is no 'missing'"],
    ['call.arguments[call.arguments.key] > 1', { key: 'hunter2' }, '1:1: the condition cannot be evaluated'],
    ['call.arguments.a > "x"', { a: 1 }, "1:18: found no matching overload for '_>_' applied to '(double, string)'"],
    ['call.arguments.a', { a: 'hunter2' }, 'the result is not true or false'],
    ['bool(call.arguments.a)', { a: 'hunter2' }, '1:1: the condition cannot be evaluated'],
    ['int(call.arguments.a) > 1', { a: 'hunter2' }, '1:1: the condition converts to a number what is none'],
    ['1 / int(call.arguments.a) > 1', { a: 0 }, 'int divide by zero'],
    ['call.arguments.a[3] == 1', { a: [1] }, '1:1: the condition cannot be evaluated'],
    ['timestamp(call.arguments.a) < request.time', { a: 'hunter2' }, '1:1: the condition cannot be evaluated'],
  ])('%s', (expression, args, message) => {
    expect(() => holds(expression, args)).toThrow(expect.objectContaining({ name: 'GatewayError', message }));
  });
});

test('an expression is compiled once', () => {
  expect(compileCondition('call.tool == "once"')).toBe(compileCondition('call.tool == "once"'));
});

test('all fields can be read', () => {
  const expression = [
    'call.tool == "pay" && call.arguments.size() == 0 && upstream.slug == "bank" && session.id == "s1"',
    'principal.kind == "user" && principal.id == "user-1" && principal.name == "ann" && principal.api_key_id == ""',
    'principal.teams == [] && principal.owner_id == "user-2" && request.time == timestamp("2026-11-20T10:00:00.25Z")',
  ].join(' && ');
  const principal = {
    kind: 'user' as const,
    id: 'user-1' as PrincipalId,
    name: 'ann',
    projectId: 'project' as ProjectId,
    teams: [],
    ownerId: 'user-2' as PrincipalId,
  };

  expect(holds(expression, {}, { principal, session: 's1' })).toBe(true);
  expect(holds('call.tool == "" && session.id == ""', undefined, { tool: undefined })).toBe(true);
});

test('numbers are those of the text', () => {
  const args = exact(
    '{"big":9007199254740993,"same":9007199254740993.0,"huge":1e999,"half":0.5,"exp":1e2,"neg":-9007199254740993}',
  );

  expect(holds('call.arguments.big == 9007199254740993', args)).toBe(true);
  expect(holds('call.arguments.big == 9007199254740992', args)).toBe(false);
  expect(holds('call.arguments.same == 9007199254740993', args)).toBe(true);
  expect(holds('call.arguments.neg == -9007199254740993', args)).toBe(true);
  expect(holds('call.arguments.huge > 1e308', args)).toBe(true);
  expect(holds('call.arguments.half == 0.5 && call.arguments.exp == 100', args)).toBe(true);
});

test('only what is written in the arguments is in them', () => {
  expect(holds('has(call.arguments.constructor) || "toString" in call.arguments || has(call.arguments.size)')).toBe(
    false,
  );
  expect(holds('call.arguments["__proto__"].x == 1', JSON.parse('{"__proto__":{"x":1}}'))).toBe(true);
  expect(holds('has(call.arguments.a) && "a" in call.arguments && call.arguments.a == null', { a: null })).toBe(true);
  expect(holds('call.arguments.all(k, k == "a")', { a: 1 })).toBe(true);
  expect(holds('call.arguments == {"a": [1, {"b": null}]}', { a: [1, { b: null }] })).toBe(true);
  expect(holds('call.arguments == {"a": [1, {"b": 2}]}', { a: [1, { b: null }] })).toBe(false);
});

test('texts are counted in characters, and an unpaired surrogate is one', () => {
  expect(holds('size(call.arguments.a) == 3 && call.arguments.a.size() == 3', { a: 'é😀\ud800' })).toBe(true);
});

test('clocks do not depend on the time zone of the process', () => {
  const spring = Date.parse('2026-03-29T01:30:00Z');
  const at = (expression: string) => compileCondition(expression)({ now: spring, call: {} as PolicyCall });
  const before = process.env['TZ'];
  process.env['TZ'] = 'Europe/Berlin';
  try {
    expect(at('request.time.getHours() == 1 && request.time.getMinutes() == 30')).toBe(true);
    expect(at('request.time.getHours("Europe/Berlin") == 3 && request.time.getHours("+02:00") == 3')).toBe(true);
    expect(at('request.time.getHours("-05:30") == 20 && request.time.getDate("-05:30") == 28')).toBe(true);
    expect(
      at('request.time.getFullYear() == 2026 && request.time.getMonth() == 2 && request.time.getDayOfMonth() == 28'),
    ).toBe(true);
    expect(at('request.time.getDayOfWeek() == 0 && request.time.getDayOfYear() == 87')).toBe(true);
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
});

test('whole numbers become times in seconds, and texts become numbers only when they are some', () => {
  expect(holds('timestamp(60) == timestamp("1970-01-01T00:01:00Z")')).toBe(true);
  expect(holds('int("-12") == -12 && uint("12") == 12u && double("1.5e1") == 15.0')).toBe(true);
  for (const text of ['', ' 1', '0x10', '1.5', '9223372036854775808', 'NaN']) {
    expect(() => holds('int(call.arguments.a) < 100', { a: text })).toThrow('converts to a number what is none');
  }
  for (const text of ['', ' 1', 'NaN', 'Infinity', '0x10', '1_0']) {
    expect(() => holds('double(call.arguments.a) < 100.0', { a: text })).toThrow('converts to a number what is none');
  }
});

test('arguments that are no object fail; absent ones are an empty map', () => {
  for (const args of [[], [{ amount: 101 }], 'text', 5, true, null, JSON.rawJSON('1e400')]) {
    expect(() => holds('has(call.arguments.amount) && call.arguments.amount > 100', args)).toThrow(
      'the arguments of the call are not an object',
    );
    expect(holds('call.tool == "pay"', args)).toBe(true);
  }
  expect(holds('has(call.arguments.amount)', undefined, { arguments: undefined })).toBe(false);
});

describe('an evaluation that costs too much ends soon, and fails', () => {
  const many = Array.from({ length: 20_000 }, (_, index) => index);
  const some = many.slice(0, 100);
  const text = 'a'.repeat(200_000);
  test.each([
    ['call.arguments.a.all(x, call.arguments.a.all(y, x + y >= 0.0))', { a: many }],
    ['call.arguments.a.all(x, call.arguments.a.exists(y, true))', { a: many }],
    ['call.arguments.a.all(x, x in call.arguments.a)', { a: many }],
    ['call.arguments.a.all(x, call.arguments.a == call.arguments.b)', { a: many, b: [...many] }],
    ['call.arguments.a.map(x, x).map(x, x).map(x, x) == []', { a: many.concat(many).concat(many) }],
    ['call.arguments.a.all(x, call.arguments.t.contains("b") || true)', { a: some, t: text }],
    ['call.arguments.a.all(x, call.arguments.t.matches("[ab]{3}c") || true)', { a: some, t: text }],
    ['call.arguments.a.all(x, call.arguments.t < call.arguments.t || true)', { a: some, t: text }],
    ['call.arguments.a.all(x, size(call.arguments.t) > 0)', { a: some, t: text }],
    [`call.arguments.a.all(x, ${Array.from({ length: 100 }, () => 'x > -1.0').join(' && ')})`, { a: many }],
    [`[call.arguments.t]${'.map(x, x + x)'.repeat(40)} == []`, { t: text }],
    [`[1]${'.map(x, [x, x])'.repeat(40)} == [1]${'.map(x, [x, x])'.repeat(40)}`, {}],
    ['call.arguments.a.all(x, call.arguments.a.all(y, true)) || true', { a: many }],
    ['call.arguments.a.all(x, call.arguments.a.all(y, y.missing == 1)) || true', { a: many }],
  ])('%s', (expression, args) => {
    const start = performance.now();

    expect(() => holds(expression, args)).toThrow('the condition takes too long to evaluate for these arguments');

    expect(performance.now() - start).toBeLessThan(2000);
  });
});

test('an evaluation that cost too much does not spoil the next', () => {
  const many = Array.from({ length: 20_000 }, (_, index) => index);

  expect(() => holds('call.arguments.a.all(x, x in call.arguments.a)', { a: many })).toThrow('takes too long');
  expect(holds('call.arguments.a.all(x, x >= 0)', { a: many.slice(0, 10_000) })).toBe(true);
});

test('lists that are put together keep their items, whoever adds to them', () => {
  expect(holds('[1, 2].map(x, x) + [3] == [1, 2, 3]')).toBe(true);
  expect(holds('[[1, 2].map(x, x)].all(l, l + [3] == [1, 2, 3] && l + [4] == [1, 2, 4] && l == [1, 2])')).toBe(true);
  expect(holds('[1, 2, 3].filter(x, x > 1).exists_one(x, x == 3)')).toBe(true);
});

import { describe, expect, test } from 'vitest';
import type { ArgumentConstraint } from '../../src/domain/policy.ts';
import { compileArgumentRule } from '../../src/policy/arguments.ts';

const nothingSensitive = () => false;
const texts = { kind: 'string', in: [], notIn: [] } as const;

function evaluate(
  constraints: readonly Partial<ArgumentConstraint>[],
  args: unknown,
  evaluation: 'fail_fast' | 'collect_all' = 'collect_all',
) {
  const defaults = { path: 'a', effect: 'deny', required: false, notNull: false } as const;
  const complete = constraints.map((fields) => ({ ...defaults, ...fields }));
  return compileArgumentRule({ kind: 'arguments', evaluation, constraints: complete })(args, nothingSensitive);
}

test('what cannot be compiled is refused', () => {
  expect(() => evaluate([{ path: 'a..b' }], {})).toThrow('The path cannot be read from character 2 on');
  expect(() => evaluate([{ type: { ...texts, regex: '(' } }], {})).toThrow('is no RE2 expression');
});

describe('failures are bounded', () => {
  const refusesAll = { path: 'a[*]', type: { kind: 'number', maximum: 0 } } as const;
  const many = { a: Array.from({ length: 50_000 }, () => 1) };

  test('at most 20 of one constraint', () => {
    expect(evaluate([refusesAll], many).failures).toHaveLength(20);
  });

  test('at most 100 of a call, and the constraints after them still count', () => {
    const approvals = Array.from({ length: 99 }, () => ({ ...refusesAll, effect: 'require_approval' as const }));

    const { effect, failures } = evaluate([...approvals, refusesAll], many);

    expect(failures).toHaveLength(100);
    expect(effect).toBe('deny');
  });

  test('texts are cut to 200 characters and hold no half of a character', () => {
    const member = `${'x'.repeat(197)}😀😀`;

    const [failure] = evaluate([{ type: { ...texts, in: [member, 'b'] } }], { a: member.slice(1) }).failures;

    expect(failure?.expected).toBe(`"${'x'.repeat(197)}\ufffd…`);
    expect(failure?.actual).toBe(`"${'x'.repeat(196)}😀…`);
  });
});

test('a text that takes too long to check fails, whether it should match or not', () => {
  let seed = 1;
  const a = Array.from({ length: 100_000 }, () =>
    (seed = (seed * 48_271) % 2_147_483_647) % 2 === 0 ? 'a' : 'b',
  ).join('');
  const pattern = '[ab]*a[ab]{100}$';

  expect(evaluate([{ type: { ...texts, regex: pattern } }, { type: { ...texts, notRegex: pattern } }], { a })).toEqual({
    effect: 'deny',
    failures: [
      { path: 'a', check: 'regex', expected: pattern, actual: 'a text that takes too long to check' },
      { path: 'a', check: 'not_regex', expected: pattern, actual: 'a text that takes too long to check' },
    ],
  });
});

test('arguments that are no object are of the wrong type', () => {
  for (const [args, actual] of [
    [['x'], 'an array of 1 item'],
    ['text', '"text"'],
    [5, '5'],
    [true, 'true'],
  ] as const) {
    expect(evaluate([{}], args).failures).toEqual([{ path: '', check: 'type', expected: 'an object', actual }]);
  }
  expect(evaluate([{}], undefined).effect).toBeUndefined();
  expect(evaluate([{ required: true }], undefined).effect).toBe('deny');
});

test('values that JSON does not have fail instead of throwing', () => {
  for (const value of [1n, Symbol('x'), () => 1, new Date(0), Number.NaN]) {
    expect(evaluate([{ type: { kind: 'number', maximum: 1 } }], { a: value }).effect).toBe('deny');
    expect(evaluate([{ type: texts }], { a: value }).effect).toBe('deny');
  }
});

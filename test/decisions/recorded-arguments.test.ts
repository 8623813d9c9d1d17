import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeArguments } from '../../src/decisions/recorded-arguments.ts';

// sha256 of {"a":1,"password":"hunter2"}
const digest = 'sha256:9711ad3ab662372c39d68aa7e30cb48e0e48b4b3165e90d2afa42734dde2b437';
const args = { password: 'hunter2', a: 1 };

describe('what is kept of arguments', () => {
  test('with NONE the digest', () => {
    expect(describeArguments(args, 'none')).toEqual({ digest, json: undefined, redacted: false });
  });

  test('with FULL everything, in the order of the keys', () => {
    expect(describeArguments(args, 'full')).toEqual({ digest, json: '{"a":1,"password":"hunter2"}', redacted: false });
  });

  test('with REDACTED everything but sensitive values, which the digest covers', () => {
    expect(describeArguments(args, 'redacted')).toEqual({
      digest,
      json: '{"password":"[redacted]","a":1}',
      redacted: true,
    });
  });

  test('the digest is that of the text as it came, where there is one', () => {
    expect(describeArguments({ a: 1, password: 'x' }, 'none', '{"a":1,"password":"hunter2"}').digest).toBe(digest);
  });
});

test('names of the project are masked besides the built-in ones, and only as whole names', () => {
  const value = { pin: 1, 'P-I_N': 2, spinner: 3, token: 4 };

  expect(describeArguments(value, 'redacted', undefined, ['pin']).json).toBe(
    '{"pin":"[redacted]","P-I_N":"[redacted]","spinner":3,"token":"[redacted]"}',
  );
  expect(describeArguments(value, 'redacted').json).toBe('{"pin":1,"P-I_N":2,"spinner":3,"token":"[redacted]"}');
  expect(describeArguments({ '': 1, a: 2 }, 'redacted', undefined, ['-']).json).toBe('{"":1,"a":2}');
});

test('numbers that a double cannot hold stay as they were written', () => {
  const value = { n: JSON.rawJSON('12345678901234567890'), token: JSON.rawJSON('1e999') };

  expect(describeArguments(value, 'redacted').json).toBe('{"n":12345678901234567890,"token":"[redacted]"}');
});

test('a text beyond 4,096 characters is cut', () => {
  const fits = { a: 'x'.repeat(4088) };

  expect(describeArguments(fits, 'redacted').json).toHaveLength(4096);
  expect(describeArguments(fits, 'redacted').redacted).toBe(false);
  expect(describeArguments({ a: 'x'.repeat(4089) }, 'redacted')).toMatchObject({
    json: `{"truncated":"{\\"a\\":\\"${'x'.repeat(4089)}\\""}`,
    redacted: true,
  });
});

test('no value under a sensitive name is ever kept', () => {
  const secret = 'hunter2';
  const name = fc.constantFrom('password', 'Pass-Word', 'API_KEY', 'to ken', 'X-Authorization', 'key', 'PIN');
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: 'small' }, fc.integer(), fc.string(), fc.array(tie('any')), tie('object')),
    object: fc
      .tuple(fc.dictionary(fc.string(), tie('any'), { maxKeys: 3 }), fc.option(name))
      .map(([fields, sensitive]) =>
        sensitive === null ? fields : { ...(fields as object), [sensitive]: { x: [secret] } },
      ),
  })).object;
  fc.assert(
    fc.property(value, (generated) => {
      const parsed: unknown = JSON.parse(JSON.stringify(generated));

      expect(describeArguments(parsed, 'redacted', undefined, ['pin']).json).not.toContain(secret);
    }),
    { numRuns: 2000 },
  );
});

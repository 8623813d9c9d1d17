import { describe, expect, test } from 'vitest';
import { isObject, parseMessages } from '../../src/upstream/message.ts';

const nested = (depth: number) => `{"result":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

describe('a message of an upstream', () => {
  test('may be nested a thousand levels deep, and one that is deeper is no message', () => {
    expect(JSON.stringify(parseMessages(nested(1000)))).toBe(`[${nested(1000)}]`);
    expect(parseMessages(nested(1001))).toEqual([]);
    expect(parseMessages(nested(1_000_000))).toEqual([]);
  });

  test('may have any number of brackets in texts and side by side', () => {
    const text = `{"text":"\\\\\\"${'[{'.repeat(3000)}","items":[${'[{}],'.repeat(3000)}[]]}`;
    expect(JSON.stringify(parseMessages(text))).toBe(`[${text}]`);
  });
});

test('a number that is kept as it was written is no object', () => {
  expect([{}, [], null, 1, JSON.rawJSON('12345678901234567890')].map(isObject)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});

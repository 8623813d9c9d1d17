import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMessage } from '../../src/mcp/json-rpc.ts';
import { withMembers } from '../../src/mcp/json-text.ts';
import { withParams } from '../../src/mcp/message-rewrite.ts';

describe('replacing members of a JSON object', () => {
  test.each([
    ['{}', '{"a":1}'],
    [' { } ', ' {"a":1 } '],
    ['{"b":2}', '{"a":1,"b":2}'],
    ['{"b":{"a":3},"a":2.50}', '{"b":{"a":3},"a":1}'],
    ['{ "\\u0061" :\n"x, \\"a\\": }" , "b":12345678901234567890}', '{ "\\u0061" :\n1 , "b":12345678901234567890}'],
    ['{"c":[{"a":"]"}],"a":null}', '{"c":[{"a":"]"}],"a":1}'],
  ])('%s', (text, expected) => {
    expect(withMembers(text, 0, new Map([['a', '1']]))).toBe(expected);
  });

  test('leaves all else as it is, however the object was written', () => {
    // Not also a lone backslash: V8 13.6 may read the key "\"" as that one, once it has seen it.
    const key = fc.constantFrom('a', 'b', '__proto__', '"', 'é', '');
    const spaced = fc.tuple(fc.dictionary(key, fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'));
    fc.assert(
      fc.property(spaced, fc.dictionary(key, fc.jsonValue()), ([object, space], changes) => {
        const texts = new Map(Object.entries(changes).map(([name, value]) => [name, JSON.stringify(value)]));
        const changed = JSON.parse(withMembers(JSON.stringify(object, null, space), 0, texts)) as object;
        const expected = new Map([...Object.entries(object), ...Object.entries(changes)]);
        expect(new Map(Object.entries(changed))).toEqual(
          new Map([...expected].map(([k, v]) => [k, JSON.parse(JSON.stringify(v))])),
        );
      }),
    );
  });
});

describe('a request with other parameters', () => {
  const messageOf = (text: string) => parseMessage(Buffer.from(text));

  test('is the same in its text and in its value', () => {
    const text = '{"jsonrpc":"2.0","id":1,"params":{"name":"s1_a","arguments":{"n":1.0}},"method":"tools/call"}';
    const { params, value, text: rewritten } = withParams(messageOf(text), { name: 'a' });
    expect(rewritten).toBe(text.replace('s1_a', 'a'));
    expect(value).toEqual(JSON.parse(rewritten));
    expect(params).toEqual({ name: 'a', arguments: { n: 1 } });
  });

  test('may have had none', () => {
    const { text, value } = withParams(messageOf('{"jsonrpc":"2.0","id":1,"method":"x"}'), { name: 'a' });
    expect(text).toBe('{"params":{"name":"a"},"jsonrpc":"2.0","id":1,"method":"x"}');
    expect(value).toEqual(JSON.parse(text));
  });

  test('has the JSON that is given for what may have lost digits', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}';
    const texts = new Map([['arguments', '{"n":12345678901234567890}']]);
    expect(withParams(messageOf(text), { arguments: { n: 12345678901234567000 } }, texts).text).toContain(
      '12345678901234567890',
    );
  });
});

import { describe, expect, test } from 'vitest';
import { parsePath, selectValues } from '../../src/policy/argument-path.ts';

function select(path: string, json: string) {
  return selectValues(parsePath(path), JSON.parse(json));
}

describe('a path leads to', () => {
  test.each([
    ['amount', '{"amount":1}', [{ path: 'amount', value: 1 }]],
    ['amount', '{"amount":null}', [{ path: 'amount', value: null }]],
    ['amount', '{}', [{ path: 'amount', value: undefined }]],
    ['a.b.c', '{"a":{"b":{"c":true}}}', [{ path: 'a.b.c', value: true }]],
    ['a.b.c', '{"a":{}}', [{ path: 'a.b.c', value: undefined }]],
    ['a.b.c', '{"a":null}', [{ path: 'a.b.c', value: undefined }]],
    ['a[1]', '{"a":["x","y"]}', [{ path: 'a[1]', value: 'y' }]],
    ['a[2]', '{"a":["x","y"]}', [{ path: 'a[2]', value: undefined }]],
    ['a[1000000]', '{"a":["x","y"]}', [{ path: 'a[1000000]', value: undefined }]],
    ['a[*]', '{"a":[1,2]}', [{ path: 'a[0]', value: 1 }, { path: 'a[1]', value: 2 }]], // biome-ignore format: one line a case
    ['a[*]', '{"a":[]}', []],
    ['a[*].b', '{"a":[{"b":1},{}]}', [{ path: 'a[0].b', value: 1 }, { path: 'a[1].b', value: undefined }]], // biome-ignore format: one line a case
    ['a[*][*]', '{"a":[[1],[],[2]]}', [{ path: 'a[0][0]', value: 1 }, { path: 'a[2][0]', value: 2 }]], // biome-ignore format: one line a case
    ['["first name"].x', '{"first name":{"x":1}}', [{ path: '["first name"].x', value: 1 }]],
    ['a["b.c"]', '{"a":{"b.c":1}}', [{ path: 'a["b.c"]', value: 1 }]],
    ['größe', '{"größe":1}', [{ path: 'größe', value: 1 }]],
    ['a["\\ud800"]', '{"a":{"\\ud800":1}}', [{ path: 'a["\\ud800"]', value: 1 }]],
    ['["*"]', '{"*":1}', [{ path: '["*"]', value: 1 }]],
  ])('%s of %s', (path, json, expected) => {
    expect(select(path, json)).toEqual(expected);
  });
});

describe('a value that is not of the type the path needs is told', () => {
  test.each([
    ['a.b', '{"a":"{\\"b\\":1}"}', { path: 'a', value: '{"b":1}', needs: 'object' }],
    ['a.b', '{"a":[{"b":1}]}', { path: 'a', value: [{ b: 1 }], needs: 'object' }],
    ['a.length', '{"a":"text"}', { path: 'a', value: 'text', needs: 'object' }],
    ['a[0]', '{"a":"text"}', { path: 'a', value: 'text', needs: 'array' }],
    ['a[0]', '{"a":{"0":1}}', { path: 'a', value: { 0: 1 }, needs: 'array' }],
    ['a[*]', '{"a":{"0":1}}', { path: 'a', value: { 0: 1 }, needs: 'array' }],
    ['a[*].b', '{"a":[7]}', { path: 'a[0]', value: 7, needs: 'object' }],
    ['a', '[1]', { path: '', value: [1], needs: 'object' }],
  ])('%s of %s', (path, json, expected) => {
    expect(select(path, json)).toEqual([expected]);
  });
});

test('only own properties are found', () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    expect(select(name, '{}')).toEqual([{ path: name, value: undefined }]);
  }
  expect(select('constructor.name', '{}')).toEqual([{ path: 'constructor.name', value: undefined }]);
  expect(select('__proto__.x', '{"__proto__":{"x":1}}')).toEqual([{ path: '__proto__.x', value: 1 }]);
});

test('a number that is kept as text has no properties', () => {
  const args = { amount: JSON.rawJSON('1e999') };

  expect(selectValues(parsePath('amount.rawJSON'), args)).toEqual([
    { path: 'amount', value: args.amount, needs: 'object' },
  ]);
});

describe('what is no path is refused', () => {
  test.each([
    ['', /is empty/],
    ['a..b', /from character 2 on: "..b"/],
    ['.a', /from character 1 on/],
    ['a.', /from character 2 on/],
    ['a b', /from character 2 on/],
    ['a[', /from character 2 on/],
    ['a[-1]', /from character 2 on/],
    ['a[01]', /from character 2 on/],
    ['a[1.5]', /from character 2 on/],
    ["a['b']", /from character 2 on/],
    ['a["b]', /from character 2 on/],
    ['a["\\x"]', /from character 2 on/],
    ['a.*', /from character 2 on/],
    ['a.[0]', /from character 2 on/],
    ['a[0]b', /from character 5 on/],
    ['[0].a', /must begin with the name of an argument/],
    ['[*]', /must begin with the name of an argument/],
    ['a[1000001]', /has an index above 1000000/],
    ['a[99999999999999999999999]', /has an index above 1000000/],
    ['a'.repeat(257), /is longer than 256 characters/],
    [`a${'.b'.repeat(32)}`, /has more than 32 parts/],
  ])('%s', (text, message) => {
    expect(() => parsePath(text)).toThrow(expect.objectContaining({ reason: 'validation_failed' }));
    expect(() => parsePath(text)).toThrow(message);
  });
});

describe('what JSONPath would write is refused, because it would never find anything', () => {
  test.each(['$', '$.amount', '$["amount"]', '$[*]', '$[0].x'])('%s', (path) => {
    expect(() => parsePath(path)).toThrow(
      'The path begins with "$", which JSONPath has and paths here have not; an argument of that name is ["$"].',
    );
  });

  test('an argument of that name is written in quotes, and others may begin so', () => {
    expect(select('["$"].amount', '{"$":{"amount":1}}')).toEqual([{ path: '["$"].amount', value: 1 }]);
    expect(select('$filter', '{"$filter":1}')).toEqual([{ path: '$filter', value: 1 }]);
    expect(select('a.$', '{"a":{"$":1}}')).toEqual([{ path: 'a.$', value: 1 }]);
  });
});

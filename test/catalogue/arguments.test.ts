import { expect, test } from 'vitest';
import { finalArguments, findLookalike, hiddenArguments } from '../../src/catalogue/arguments.ts';

test('fixed arguments win over the client, and defaults fill in what it left out', () => {
  const override = { argumentDefaults: { a: 1, b: 2, c: 3 }, fixedArguments: { c: 'fixed', d: 'fixed' } };

  expect(finalArguments(override, { b: null, c: 'client', e: 'client' })).toEqual({
    a: 1,
    b: null,
    c: 'fixed',
    d: 'fixed',
    e: 'client',
  });
  expect(finalArguments(override, undefined)).toEqual({ a: 1, b: 2, c: 'fixed', d: 'fixed' });
  expect(hiddenArguments(override)).toEqual(['c', 'd']);
});

test("with nothing to add they are the client's own", () => {
  const client = { a: 1 };

  expect(finalArguments(undefined, client)).toBe(client);
  expect(finalArguments({ description: 'x', argumentDefaults: {}, fixedArguments: {} }, client)).toBe(client);
  expect(finalArguments({ description: 'x' }, undefined)).toBeUndefined();
  expect(hiddenArguments(undefined)).toEqual([]);
});

test('a number that no double holds keeps its text', () => {
  const client = { id: JSON.rawJSON('12345678901234567890') };

  expect(JSON.stringify(finalArguments({ fixedArguments: { a: 1 } }, client))).toBe(
    '{"id":12345678901234567890,"a":1}',
  );
});

test('an argument called __proto__ is a plain one and changes no prototype', () => {
  const client = JSON.parse('{"__proto__":{"isAdmin":true},"a":1}');
  const final = finalArguments({ argumentDefaults: { b: 2 } }, client);

  expect(JSON.stringify(final)).toBe('{"b":2,"__proto__":{"isAdmin":true},"a":1}');
  expect(final?.['isAdmin']).toBeUndefined();
  expect(JSON.stringify(finalArguments({ fixedArguments: JSON.parse('{"__proto__":1}') }, client))).toBe(
    '{"__proto__":1,"a":1}',
  );
});

test('a client cannot give a fixed argument by writing it in another case', () => {
  const override = { argumentDefaults: { limit: 1 }, fixedArguments: { tenant: 'acme', maxSkus: 5 } };

  expect(findLookalike(override, { tenant: 'mine', Limit: 2, other: 1 })).toBeUndefined();
  expect(findLookalike(override, { a: 1, TENANT: 'mine' })).toBe('TENANT');
  expect(findLookalike(override, { 'max\u017Fkus': 6 })).toBe('max\u017Fkus');
  expect(findLookalike({ argumentDefaults: { limit: 1 } }, { LIMIT: 2 })).toBeUndefined();
  expect(findLookalike(undefined, { tenant: 1 })).toBeUndefined();
});

import { describe, expect, it } from 'vitest';
import { createPortcullisClient } from '../src/client.ts';
import { startFakeGateway } from './fake-gateway.ts';
import { ALLOWED, clientOf, deniedWith, guardedTool, REFUNDED } from './guarded-tool.ts';

describe('arguments that can not be sent as they are', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = [cyclic];
  let deep: unknown = 1;
  for (let level = 0; level < 10_000; level++) deep = [deep];

  it.each<[string, unknown, string]>([
    ['undefined', { a: { b: undefined } }, "'arguments.a.b' is a value of type undefined, which can't be sent."],
    ['a bigint', { a: 1n }, "'arguments.a' is a value of type bigint, which can't be sent."],
    ['a function', { a: [() => 1] }, "'arguments.a[0]' is a value of type function, which can't be sent."],
    ['a symbol', { a: Symbol('s') }, "'arguments.a' is a value of type symbol, which can't be sent."],
    ['NaN', { a: Number.NaN }, "'arguments.a' is NaN, which can't be sent."],
    ['infinity', { a: -1 / 0 }, "'arguments.a' is -Infinity, which can't be sent."],
    ['a date', { a: new Date(0) }, "'arguments.a' is an object of a class, which can't be sent."],
    ['a map', { a: new Map() }, "'arguments.a' is an object of a class, which can't be sent."],
    ['a half character', { a: '\ud800' }, "'arguments.a' is no valid Unicode text, which can't be sent."],
    ['a half character as name', { '\udc00': 1 }, "'arguments' is no valid Unicode text, which can't be sent."],
    [
      'a gap',
      { a: Object.assign([1], { length: 2 }) },
      "'arguments.a' has gaps, or members with names, which can't be sent.",
    ],
    [
      'a getter',
      {
        get a() {
          return 1;
        },
      },
      "'arguments' has members that are not plain fields, which can't be sent.",
    ],
    [
      'a member with a symbol',
      { [Symbol('s')]: 1 },
      "'arguments' has members that are not plain fields, which can't be sent.",
    ],
    ['a prototype', JSON.parse('{"__proto__":{"a":1}}'), "'arguments' has a member '__proto__', which can't be sent."],
    ['a cycle', cyclic, 'The arguments are nested deeper than 48 levels, or contain themselves.'],
    ['much depth', { deep }, 'The arguments are nested deeper than 48 levels, or contain themselves.'],
    ['64 KiB and a byte', { a: 'x'.repeat(65_536 - 7) }, 'The arguments are larger than 64 KiB.'],
    ['64 KiB of two bytes each', { a: 'é'.repeat(33_000) }, 'The arguments are larger than 64 KiB.'],
    [
      'a signal',
      { signal: new AbortController().signal },
      "'arguments.signal' is an object of a class, which can't be sent.",
    ],
    [
      'what looks like a signal',
      { signal: { addEventListener: () => {} } },
      "'arguments.signal.addEventListener' is a value of type function, which can't be sent.",
    ],
    ['a list', [1], 'The arguments are not an object.'],
    ['a text', 'amount=1', 'The arguments are not an object.'],
    ['null', null, 'The arguments are not an object.'],
  ])('are denied without a question, whatever onError says: %s', async (_, args, reason) => {
    let asked = 0;
    const client = clientOf(() => {
      asked++;
      return ALLOWED;
    });
    const { call, ran, denials } = guardedTool(client, { onError: 'allow' });

    expect(await call(args, {})).toEqual(deniedWith(reason));
    expect(asked).toBe(0);
    expect(ran).toEqual([]);
    expect(denials.map(({ kind }) => kind)).toEqual(['invalid_arguments']);
  });

  it('leaves room for exactly 64 KiB, for 48 levels and for objects without prototype', async () => {
    const { baseUrl } = await startFakeGateway({ tools: { authorize: () => ALLOWED } });
    const { call, denials } = guardedTool(createPortcullisClient({ baseUrl }));
    let deep: unknown = {};
    for (let level = 2; level < 48; level++) deep = level % 2 === 0 ? [deep] : { a: deep };

    expect(await call({ a: 'x'.repeat(65_536 - 8) })).toEqual(REFUNDED);
    expect(await call({ deep })).toEqual(REFUNDED);
    expect(await call(Object.assign(Object.create(null), { a: 1 }))).toEqual(REFUNDED);
    expect(denials).toEqual([]);
  });

  it('are also those for which no session can be named', async () => {
    const sessions = [
      () => {
        throw new Error('no user');
      },
      () => 7 as unknown as string,
      () => Promise.resolve('s') as unknown as string,
    ];
    for (const session of sessions) {
      const { call, ran, denials } = guardedTool(
        clientOf(() => ALLOWED),
        { session, onError: 'allow' },
      );

      expect(await call({})).toEqual(deniedWith('The call could not be checked.'));
      expect(ran).toEqual([]);
      expect(denials.map(({ kind }) => kind)).toEqual(['failed']);
    }
  });
});

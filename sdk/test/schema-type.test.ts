import { describe, expect, it } from 'vitest';
import { comment } from '../cli/identifiers.ts';
import { createSchemaTypes } from '../cli/schema-type.ts';

function typeOf(schema: unknown): string {
  return createSchemaTypes().typeOf(schema, 'X');
}

describe('the type of a schema', () => {
  it.each<[string, unknown, string]>([
    ['a string', { type: 'string', format: 'email', maxLength: 3 }, 'string'],
    ['an integer', { type: 'integer' }, 'number'],
    ['several types', { type: ['string', 'null'] }, 'string | null'],
    ['a constant', { const: 'a"b' }, '"a\\"b"'],
    ['an enumeration with its type', { type: 'string', enum: ['a', 'b', 3, null] }, '"a" | "b" | 3 | null'],
    ['an enumeration with an object in it', { enum: ['a', { b: 1 }] }, 'unknown'],
    ['anything', true, 'unknown'],
    ['an empty schema', {}, 'unknown'],
    ['nothing', false, 'never'],
    ['an array', { type: 'array', items: { type: 'string' } }, 'string[]'],
    ['an array of a union', { type: 'array', items: { type: ['string', 'number'] } }, '(string | number)[]'],
    ['an array of texts that look like types', { items: { enum: ['a | b', 'c'] } }, '("a | b" | "c")[]'],
    ['an array of anything', { type: 'array' }, 'unknown[]'],
    [
      'a tuple',
      { prefixItems: [{ type: 'string' }, { type: 'number' }], minItems: 1, items: false },
      '[string, number?]',
    ],
    ['a tuple with a rest', { prefixItems: [{ type: 'string' }], items: { type: 'number' } }, '[string?, ...number[]]'],
    ['an object without members', { type: 'object', additionalProperties: false }, 'Record<string, never>'],
    ['a map', { type: 'object', additionalProperties: { type: 'number' } }, '{ [key: string]: number; }'],
    ['an open object', { type: 'object' }, '{ [key: string]: unknown; }'],
    ['a union of objects', { anyOf: [{ type: 'string' }, { type: 'array', items: {} }] }, 'string | unknown[]'],
    ['what must be two things', { allOf: [{ $ref: '#/$defs/a' }, { type: ['string', 'null'] }] }, 'string | null'],
    ['a reference that leads nowhere', { $ref: '#/$defs/none' }, 'unknown'],
    ['a reference elsewhere, which is not fetched', { $ref: 'https://example.com/schema.json' }, 'unknown'],
    ['a type that there is not', { type: 'date' }, 'unknown'],
    ['garbage', 'string', 'unknown'],
  ])('is right for %s', (_name, schema, expected) => {
    expect(typeOf(schema)).toBe(expected);
  });

  it('has comments, and quotes keys, so that nothing of a description or key ends up as code', () => {
    const schema = {
      type: 'object',
      required: ['a-b', 'constructor'],
      additionalProperties: false,
      properties: {
        'a-b': { type: 'string', description: 'Ends */ here.\nSecond line.', default: 'x' },
        constructor: { type: 'boolean' },
        ['__proto__']: { type: 'null' },
        '"]: never; evil(); //': { type: 'number' },
      },
    };
    expect(typeOf(JSON.parse(JSON.stringify(schema)))).toBe(
      [
        '{',
        '  /**',
        '   * Ends *\\/ here.',
        '   * Second line.',
        '   * Default: "x".',
        '   */',
        '  ["a-b"]: string;',
        '  constructor: boolean;',
        '  ["__proto__"]?: null;',
        '  ["\\"]: never; evil(); //"]?: number;',
        '}',
      ].join('\n'),
    );
  });

  it('declares what is referred to once, also when it refers to itself', () => {
    const types = createSchemaTypes();
    const schema = {
      type: 'object',
      properties: { root: { $ref: '#/$defs/node' }, again: { $ref: '#/$defs/node' }, anchored: { $ref: '#leaf' } },
      additionalProperties: false,
      $defs: {
        node: {
          type: 'object',
          properties: { children: { type: 'array', items: { $ref: '#/$defs/node' } } },
          additionalProperties: false,
        },
        leaf: { $anchor: 'leaf', type: 'string' },
      },
    };

    expect(types.typeOf(schema, 'Tree')).toBe('{\n  root?: TreeNode;\n  again?: TreeNode;\n  anchored?: TreeLeaf;\n}');
    expect(types.declarations()).toEqual([
      'export type TreeNode = {\n  children?: TreeNode[];\n};\n',
      'export type TreeLeaf = string;\n',
    ]);
  });

  it('ends for a schema that nests without end, and for one that is its own root', () => {
    let deep: unknown = { type: 'string' };
    for (let depth = 0; depth < 5_000; depth++) deep = { type: 'array', items: deep };
    expect(typeOf(deep)).toMatch(/^unknown(\[\])+$/);

    const types = createSchemaTypes();
    expect(types.typeOf({ type: 'array', items: { $ref: '#' } }, 'List')).toBe('ListRoot[]');
    expect(types.declarations()).toEqual(['export type ListRoot = ListRoot[];\n']);
  });

  it.each<[string, unknown, string[]]>([
    ['itself', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, ['export type XA = unknown;\n']],
    [
      'each other',
      { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { allOf: [{ $ref: '#/$defs/a' }] } } },
      ['export type XA = XB;\n', 'export type XB = unknown;\n'],
    ],
    [
      'each other, but for a member',
      {
        $ref: '#/$defs/node',
        $defs: {
          node: { type: 'object', properties: { next: { $ref: '#/$defs/link' } }, additionalProperties: false },
          link: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
        },
      },
      ['export type XNode = {\n  next?: XLink;\n};\n', 'export type XLink = XNode | null;\n'],
    ],
  ])(
    'has no types that are made of themselves, which the compiler refuses, for schemas that are made of %s',
    (...row) => {
      const [, schema, declarations] = row;
      const types = createSchemaTypes();
      types.typeOf(schema, 'X');
      expect(types.declarations()).toEqual(declarations);
    },
  );

  it('follows ten thousand references from one to the next', () => {
    const definition = (index: number) => [`d${index}`, { type: 'array', items: { $ref: `#/$defs/d${index + 1}` } }];
    const types = createSchemaTypes();
    types.typeOf(
      {
        $ref: '#/$defs/d0',
        $defs: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => definition(index))),
      },
      'X',
    );
    expect(types.declarations()).toHaveLength(10_000);
    expect(types.declarations().at(-1)).toBe('export type XD9999 = unknown[];\n');
  });
});

describe('a comment', () => {
  it('holds nothing that the compiler would follow, and takes no time for many spaces', () => {
    expect(comment('@ts-expect-error', '')).toBe('/** @ ts-expect-error */\n');
    const text = `a${' '.repeat(100_000)}b`;
    expect(comment(`${text}\nc`, '')).toBe(`/**\n * ${text}\n * c\n */\n`);
  });
});

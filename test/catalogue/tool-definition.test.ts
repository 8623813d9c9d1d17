import { expect, test } from 'vitest';
import { shownPrompt, shownTool } from '../../src/catalogue/tool-definition.ts';
import type { ToolOverride } from '../../src/domain/gateway.ts';
import type { JsonObject } from '../../src/domain/json.ts';

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    owner: { type: 'string', description: 'Who' },
    repo: { type: 'string' },
    title: { type: 'string', default: 'Untitled' },
    labels: true,
  },
  required: ['owner', 'repo', 'title'],
  additionalProperties: false,
  'x-unknown': { kept: true },
};

const tool = {
  icons: [{ src: 'x.png' }],
  name: 'create_issue',
  title: 'Create issue',
  description: 'Creates an issue.',
  inputSchema: schema,
  annotations: { readOnlyHint: false },
  _meta: { 'example.com/a': 1 },
};

function shown(source: JsonObject, override: ToolOverride | undefined, name = 'github_create_issue') {
  return shownTool(source, { address: 'github@v2', name, override }).definition;
}

function schemaOf(inputSchema: JsonObject, override: ToolOverride): unknown {
  return shown({ name: 'a', inputSchema }, override, 'a')['inputSchema'];
}

test('a tool under its own name and without override is shown as it is', () => {
  expect(shown(tool, undefined, 'create_issue')).toBe(tool);
});

test('a tool under another name tells where it comes from, and keeps the order of its keys', () => {
  const definition = shown(tool, undefined);

  expect(JSON.stringify(definition)).toBe(
    JSON.stringify({
      icons: [{ src: 'x.png' }],
      name: 'github_create_issue',
      title: 'Create issue',
      description: 'Creates an issue.',
      inputSchema: schema,
      annotations: { readOnlyHint: false },
      _meta: { 'example.com/a': 1, 'portcullis/upstream': 'github@v2', 'portcullis/tool': 'create_issue' },
    }),
  );
  expect(definition['inputSchema']).toBe(schema);
});

test('a prompt under another name tells where it comes from', () => {
  const prompt = { name: 'review', arguments: [{ name: 'diff' }] };
  const change = { address: 'github', name: 'github_review' };

  expect(shownPrompt(prompt, change).definition).toEqual({
    name: 'github_review',
    arguments: [{ name: 'diff' }],
    _meta: { 'portcullis/upstream': 'github', 'portcullis/prompt': 'review' },
  });
  expect(shownPrompt(prompt, { ...change, name: 'review' }).definition).toBe(prompt);
});

test('a description is replaced, also where there was none', () => {
  expect(shown(tool, { description: 'Mine.' })['description']).toBe('Mine.');
  expect(shown({ name: 'a' }, { description: 'Mine.' }, 'a')).toEqual({ name: 'a', description: 'Mine.' });
});

test('fixed arguments are not shown, and defaults are told and not required', () => {
  const override = {
    fixedArguments: { owner: 'acme', absent: 1 },
    argumentDefaults: { title: 'Bug', labels: ['x'], other: 2 },
  };

  expect(schemaOf(schema, override)).toEqual({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: {
      repo: { type: 'string' },
      title: { type: 'string', default: 'Bug' },
      labels: { default: ['x'] },
    },
    required: ['repo'],
    additionalProperties: false,
    'x-unknown': { kept: true },
  });
  expect(schema.properties.title).toEqual({ type: 'string', default: 'Untitled' });
});

test('nothing is required any more once all that was is given', () => {
  const some = { type: 'object', properties: { a: {} }, required: ['a'] };

  expect(schemaOf(some, { fixedArguments: { a: 1 } })).toEqual({ type: 'object', properties: {} });
});

test('what an argument needs beside it is required where the gateway always gives the argument', () => {
  const some = {
    properties: { a: {}, b: {}, c: {}, d: {} },
    required: ['c'],
    dependentRequired: { a: ['b', 'd'], c: ['a', 'd'] },
  };

  expect(schemaOf(some, { fixedArguments: { a: 1 } })).toEqual({
    properties: { b: {}, c: {}, d: {} },
    required: ['c', 'b', 'd'],
    dependentRequired: { c: ['d'] },
  });
});

test.each([
  ['a schema that is no object', true],
  ['properties that are no object', { properties: ['a'], required: 'a' }],
  ['a property schema that allows nothing', { properties: { b: false } }],
])('%s does not disturb', (_, inputSchema) => {
  const definition = shown({ name: 'x', inputSchema }, { argumentDefaults: { b: 1 }, description: 'D' }, 'x');

  expect(definition['description']).toBe('D');
  expect(JSON.stringify(definition)).not.toContain('default');
});

test('an argument called __proto__ is one like any other', () => {
  const some: JsonObject = JSON.parse('{"properties":{"__proto__":{"type":"string"},"a":{}},"required":["__proto__"]}');
  const defaults: JsonObject = JSON.parse('{"__proto__":"x"}');

  expect(JSON.stringify(schemaOf(some, { fixedArguments: { a: 1 } }))).toBe(
    '{"properties":{"__proto__":{"type":"string"}},"required":["__proto__"]}',
  );
  expect(JSON.stringify(schemaOf(some, { argumentDefaults: defaults }))).toBe(
    '{"properties":{"__proto__":{"type":"string","default":"x"},"a":{}}}',
  );
});

test('a recursive schema is shown without walking through it', () => {
  const node = { type: 'object', properties: { child: { $ref: '#/$defs/node' } } };
  const recursive = { $defs: { node }, properties: { root: node, depth: {} }, required: ['depth'] };
  const shownRecursive = schemaOf(recursive, { fixedArguments: { depth: 3 } });

  expect(shownRecursive).toEqual({ $defs: { node }, properties: { root: node } });
  expect((shownRecursive as typeof recursive).$defs).toBe(recursive.$defs);
});

test('a definition of 512 KiB can be offered, and a larger or endlessly nested one cannot', () => {
  const around = JSON.stringify({ name: 'a', description: '' }).length;
  const json = (source: JsonObject) => shownTool(source, { address: 'up', name: 'a' }).json;
  const nested: JsonObject = JSON.parse(`{"name":"a","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);

  expect(json({ name: 'a', description: 'd'.repeat(524_288 - around) })).toHaveLength(524_288);
  expect(json({ name: 'a', description: 'd'.repeat(524_289 - around) })).toBeUndefined();
  expect(json({ name: 'a', description: 'ü'.repeat(262_144) })).toBeUndefined();
  expect(json({ name: 'a', inputSchema: { description: 'x'.repeat(1_048_576) } })).toBeUndefined();
  expect(json(nested)).toBeUndefined();
});

test('viewers whose lists share a definition share what is made of it', () => {
  const override = { description: 'Mine.' };

  expect(shown(tool, override)).toBe(shown(tool, override));
  expect(shown(tool, override)).not.toBe(shown(tool, { description: 'Other.' }));
});

test('gateways with different names for a tool do not push each other out', () => {
  const [one, other] = [shown(tool, undefined, 'one'), shown(tool, undefined, 'other')];

  expect(one['name']).toBe('one');
  expect(other['name']).toBe('other');
  expect(shown(tool, undefined, 'one')).toBe(one);
  expect(shown(tool, undefined, 'other')).toBe(other);
});

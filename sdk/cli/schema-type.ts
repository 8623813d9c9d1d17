import { comment, createNames, keyText, pascalCase } from './identifiers.ts';
import { resolve } from './references.ts';
import { isSchema, type Schema } from './schema.ts';

/** Deepest nesting that is spelled out; below it, everything is `unknown`. */
const MAX_DEPTH = 24;
/** Members of one object, union or tuple that are spelled out. */
const MAX_MEMBERS = 500;

/** Types written for JSON Schemas (2020-12), and the declarations that they refer to. */
export interface SchemaTypes {
  /** The type of what a schema allows; `unknown` where TypeScript can't say it. `name` is what declarations are named after. */
  typeOf(schema: unknown, name: string): string;
  /** What was declared so far: types that are referred to by `$ref`, which may be recursive. */
  declarations(): readonly string[];
}

/** Makes an empty set; `takeName` hands out the names of declarations. */
export function createSchemaTypes(takeName = createNames()): SchemaTypes {
  const declared: string[] = [];

  function typeOf(schema: unknown, name: string): string {
    const names = namesOfDefinitions(schema);
    const known = new Map<unknown, string>();
    const waiting: (() => void)[] = [];
    const declare = (target: unknown): string => {
      const made = known.get(target) ?? takeName(`${name}${pascalCase(names.get(target) ?? 'Ref')}`);
      if (!known.has(target)) {
        known.set(target, made);
        const at = declared.push('') - 1;
        // Later, and not in here: one may lead to the next thousands of times.
        waiting.push(() => {
          declared[at] = `export type ${made} = ${write(document, target, { ...TOP, owner: made })};\n`;
        });
      }
      return made;
    };
    const document = { root: schema, declare, direct: new Map() };
    const written = write(document, schema, TOP);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      next();
    }
    return written;
  }

  return { typeOf, declarations: () => declared };
}

/** The names of the root and of its definitions. */
function namesOfDefinitions(root: unknown): ReadonlyMap<unknown, string> {
  const definitions = ['definitions', '$defs'].flatMap((holder) => {
    const found = isSchema(root) ? root[holder] : undefined;
    return isSchema(found) ? Object.entries(found) : [];
  });
  return new Map([[root, 'Root'], ...definitions.map(([name, schema]): [unknown, string] => [schema, name])]);
}

/** What all types of one schema document share. */
interface Document {
  readonly root: unknown;
  /** The name of the declaration for what a `$ref` leads to. */
  readonly declare: (target: unknown) => string;
  /** Which declarations a declaration is made of, outside of the members of objects and arrays; they must not be made of it. */
  readonly direct: Map<string, Set<string>>;
}

/** Where a type stands in the text. */
interface Place {
  readonly indent: string;
  readonly depth: number;
  /** The declaration that is made of it; absent inside of members, where types may refer to themselves. */
  readonly owner?: string;
}

const TOP: Place = { indent: '', depth: 0 };

function write(document: Document, schema: unknown, place: Place): string {
  if (schema === false) {
    return 'never';
  }
  if (!isSchema(schema) || place.depth > MAX_DEPTH) {
    return 'unknown';
  }
  const parts = [
    ...referred(document, schema, place),
    ...literals(schema),
    ...(isLiteral(schema) ? [] : shapes(document, schema, place)),
    ...combined(document, schema, place),
  ].filter((part) => part !== 'unknown');
  const distinct = [...new Set(parts)];
  return distinct.length === 0 ? 'unknown' : distinct.map((part) => grouped(part, distinct.length > 1)).join(' & ');
}

function writeInside(document: Document, schema: unknown, { indent, depth }: Place): string {
  return write(document, schema, { indent, depth: depth + 1 });
}

function writePart(document: Document, schema: unknown, place: Place): string {
  return write(document, schema, { ...place, depth: place.depth + 1 });
}

function referred({ root, declare, direct }: Document, schema: Schema, { owner }: Place): string[] {
  const reference = schema['$ref'] ?? schema['$dynamicRef'];
  const target = typeof reference === 'string' ? resolve(root, reference) : undefined;
  if (!isSchema(target)) {
    return [];
  }
  const name = declare(target);
  const parts = owner === undefined ? undefined : direct.get(owner);
  if (owner === undefined || parts?.has(name) === true) {
    return [name];
  }
  if (isMadeOf(direct, name, owner)) {
    return [];
  }
  direct.set(owner, (parts ?? new Set()).add(name));
  return [name];
}

/** True when one declaration is the other, or is made of it; TypeScript has no types that are made of themselves. */
function isMadeOf(direct: Document['direct'], name: string, other: string): boolean {
  const reached = new Set([name]);
  for (const each of reached) {
    if (each === other || direct.get(each)?.has(other) === true) {
      return true;
    }
    for (const next of direct.get(each) ?? []) {
      reached.add(next);
    }
  }
  return false;
}

function combined(document: Document, schema: Schema, place: Place): string[] {
  const all = membersOf(schema['allOf']).map((part) => writePart(document, part, place));
  const choices = ['anyOf', 'oneOf'].flatMap((key) => {
    const options = membersOf(schema[key]).map((part) => writePart(document, part, place));
    return options.length === 0 ? [] : [unionOf(options)];
  });
  return [...all, ...choices];
}

function shapes(document: Document, schema: Schema, place: Place): string[] {
  const types = typesOf(schema);
  return types.length === 0 ? [] : [unionOf(types.map((type) => shapeOf(document, type, schema, place)))];
}

function shapeOf(document: Document, type: string, schema: Schema, place: Place): string {
  switch (type) {
    case 'object':
      return objectOf(document, schema, place);
    case 'array':
      return arrayOf(document, schema, place);
    case 'integer':
    case 'number':
      return 'number';
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    default:
      return 'unknown';
  }
}

function arrayOf(document: Document, schema: Schema, place: Place): string {
  const first = membersOf(schema['prefixItems']).map((item) => writeInside(document, item, place));
  const rest = schema['items'] === undefined ? 'unknown' : writeInside(document, schema['items'], place);
  if (first.length === 0) {
    return `${grouped(rest, true)}[]`;
  }
  const needed = typeof schema['minItems'] === 'number' ? schema['minItems'] : 0;
  const items = first.map((item, index) => (index < needed ? item : `${grouped(item, true)}?`));
  return `[${[...items, ...(rest === 'never' ? [] : [`...${grouped(rest, true)}[]`])].join(', ')}]`;
}

function objectOf(document: Document, schema: Schema, { indent, depth }: Place): string {
  const properties = Object.entries(isSchema(schema['properties']) ? schema['properties'] : {});
  const required = new Set(membersOf(schema['required']));
  const inner = { indent: `${indent}  `, depth };
  const lines = properties.slice(0, MAX_MEMBERS).map(([key, property]) => {
    const type = writeInside(document, property, inner);
    const member = `${inner.indent}${keyText(key)}${required.has(key) ? '' : '?'}: ${type};\n`;
    return `${comment(descriptionOf(property), inner.indent)}${member}`;
  });
  const others = othersOf(document, schema, inner, properties.length);
  if (lines.length === 0) {
    return others === undefined ? 'Record<string, never>' : `{ ${others} }`;
  }
  return `{\n${lines.join('')}${others === undefined ? '' : `${inner.indent}${others}\n`}${indent}}`;
}

/**
 * The index signature of an object that takes other members; its type must allow the named ones too, so it is `unknown` beside them. An
 * object that names members, and does not say that it takes others, is written without: another one is most likely a misspelt one.
 */
function othersOf(document: Document, schema: Schema, place: Place, named: number): string | undefined {
  const { additionalProperties: others, patternProperties: patterns } = schema;
  const isClosed = others === false || (others === undefined && named > 0);
  if (isClosed && patterns === undefined) {
    return undefined;
  }
  const isNarrow = isSchema(others) && patterns === undefined && named === 0;
  return `[key: string]: ${isNarrow ? writeInside(document, others, place) : 'unknown'};`;
}

/** The types that a schema names, or that its other words are about. */
function typesOf(schema: Schema): readonly string[] {
  const type = schema['type'];
  const named = Array.isArray(type)
    ? type.filter((item) => typeof item === 'string')
    : typeof type === 'string'
      ? [type]
      : [];
  if (named.length > 0) {
    return [...new Set(named)];
  }
  if (schema['properties'] !== undefined || schema['required'] !== undefined) {
    return ['object'];
  }
  return schema['items'] !== undefined || schema['prefixItems'] !== undefined ? ['array'] : [];
}

function isLiteral(schema: Schema): boolean {
  return 'const' in schema || Array.isArray(schema['enum']);
}

function literals(schema: Schema): string[] {
  if ('const' in schema) {
    return [literalOf(schema['const'])];
  }
  const values = schema['enum'];
  return Array.isArray(values) ? [unionOf(values.slice(0, MAX_MEMBERS).map(literalOf))] : [];
}

function literalOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    return 'unknown';
  }
  return JSON.stringify(value) ?? 'unknown';
}

function unionOf(types: readonly string[]): string {
  const distinct = [...new Set(types)];
  if (distinct.includes('unknown')) {
    return 'unknown';
  }
  const possible = distinct.filter((type) => type !== 'never');
  return possible.length === 0
    ? 'never'
    : possible.map((type) => grouped(type, possible.length > 1, ['&'])).join(' | ');
}

/** In parentheses, where a union or intersection would otherwise be read as part of what stands around it. */
function grouped(type: string, needed: boolean, operators: readonly string[] = ['&', '|']): string {
  return needed && operators.some((operator) => hasAtTop(type, ` ${operator} `)) ? `(${type})` : type;
}

/** True when the text stands outside of all braces, brackets, parentheses and string literals of the type. */
function hasAtTop(type: string, wanted: string): boolean {
  let depth = 0;
  for (let at = 0; at < type.length; at++) {
    const char = type.charAt(at);
    if (char === '"') {
      at = endOfLiteral(type, at);
    } else if ('{[('.includes(char)) {
      depth++;
    } else if ('}])'.includes(char)) {
      depth--;
    } else if (depth === 0 && type.startsWith(wanted, at)) {
      return true;
    }
  }
  return false;
}

function endOfLiteral(type: string, start: number): number {
  let at = start + 1;
  while (at < type.length && type.charAt(at) !== '"') {
    at += type.charAt(at) === '\\' ? 2 : 1;
  }
  return at;
}

function descriptionOf(schema: unknown): string {
  if (!isSchema(schema)) {
    return '';
  }
  const { description, default: value } = schema;
  const told = typeof description === 'string' ? description : '';
  return value === undefined ? told : `${told}${told === '' ? '' : '\n'}Default: ${JSON.stringify(value)}.`;
}

function membersOf(list: unknown): readonly unknown[] {
  return Array.isArray(list) ? list.slice(0, MAX_MEMBERS) : [];
}

import type { IncomingHttpHeaders } from 'node:http';
import { isObject } from '../upstream/message.ts';
import { decodeHeaderValue } from './envelope.ts';

/** An argument that a header repeats. */
interface MirroredArgument {
  readonly path: readonly string[];
  /** In lower case. */
  readonly header: string;
}

/** Deepest nesting of arguments that headers may repeat; real ones are a level or two deep. */
const MAX_DEPTH = 8;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** By schema, as each is the same object until the tool changes. */
const mirrored = new WeakMap<object, readonly MirroredArgument[]>();

/**
 * What is wrong with the `Mcp-Param-*` headers of a tool call: each must repeat the argument that the tool's schema marks with
 * `x-mcp-header`, and be there when the argument is; undefined = nothing (specification 2026-07-28, basic/transports/streamable-http,
 * section Server Behavior for Custom Headers).
 */
export function findParamMismatch(
  headers: IncomingHttpHeaders,
  inputSchema: unknown,
  callArguments: unknown,
): string | undefined {
  if (!isObject(inputSchema)) {
    return undefined;
  }
  let all = mirrored.get(inputSchema);
  if (all === undefined) {
    all = findMirrored(inputSchema, []);
    mirrored.set(inputSchema, all);
  }
  const wrong = all.find(({ path, header }) => !isRepeated(headers[header], valueAt(callArguments, path)));
  return wrong && `the header '${wrong.header}' does not match the argument '${wrong.path.join('.')}' in the body`;
}

function findMirrored(schema: unknown, path: readonly string[]): MirroredArgument[] {
  if (!isObject(schema) || path.length > MAX_DEPTH) {
    return [];
  }
  const name = schema['x-mcp-header'];
  const own = typeof name === 'string' && TOKEN.test(name) && path.length > 0 ? [{ path, header: headerOf(name) }] : [];
  const properties = isObject(schema['properties']) ? Object.entries(schema['properties']) : [];
  return [...own, ...properties.flatMap(([key, property]) => findMirrored(property, [...path, key]))];
}

function headerOf(name: string): string {
  return `mcp-param-${name.toLowerCase()}`;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (holder, key) => (isObject(holder) && Object.hasOwn(holder, key) ? holder[key] : undefined),
    value,
  );
}

function isRepeated(header: string | string[] | undefined, value: unknown): boolean {
  if (value === undefined || value === null) {
    return header === undefined;
  }
  const decoded = typeof header === 'string' ? decodeHeaderValue(header) : undefined;
  switch (typeof value) {
    case 'string':
      return decoded === value;
    case 'number':
      // Numbers are compared as such: 42.0 is 42.
      return decoded !== undefined && decoded.trim() !== '' && Number(decoded) === value;
    case 'boolean':
      return decoded === String(value);
    default:
      // Only what is primitive is repeated.
      return header === undefined;
  }
}

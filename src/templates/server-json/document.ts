/** A value inside a document, absent when it is undefined, with its JSON path. */
export interface DocumentNode {
  readonly path: string;
  readonly value: unknown;
}

/** What can't be used of a document, and where it is; `description` goes on after the path. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly path: string;
  readonly description: string;

  constructor({ path }: DocumentNode, description: string) {
    super(`${path}: ${description}`);
    this.path = path;
    this.description = description;
  }
}

/** Keys are the document's own in places, and paths travel in headers. */
const SHOWN_KEY_LENGTH = 64;

/** The property of an object under the first of the names that it has; null counts as absent. Throws for what is no object. */
export function child(node: DocumentNode, ...names: readonly [string, ...string[]]): DocumentNode {
  const object = objectOf(node);
  const name = names.find((name) => isPresent(object, name)) ?? names[0];
  return { path: join(node.path, name), value: isPresent(object, name) ? object[name] : undefined };
}

/** The properties of an object that may be absent. */
export function properties(node: DocumentNode): [string, DocumentNode][] {
  if (node.value === undefined) return [];
  return Object.entries(objectOf(node)).map(([name, value]) => [name, { path: join(node.path, name), value }]);
}

/** The items of a list that may be absent. */
export function items({ path, value }: DocumentNode): DocumentNode[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new DocumentError({ path, value }, 'must be a list');
  return value.map((item: unknown, index) => ({ path: `${path}[${index}]`, value: item }));
}

/** A text that may be absent. */
export function readText(node: DocumentNode): string | undefined {
  const { value } = node;
  if (value === undefined || typeof value === 'string') return value;
  throw new DocumentError(node, 'must be a text');
}

/** A text that must be there. */
export function requireText(node: DocumentNode): string {
  const text = readText(node);
  if (text === undefined || text === '') throw new DocumentError(node, 'must be given');
  return text;
}

/** A boolean; absent = false. */
export function readFlag(node: DocumentNode): boolean {
  const { value } = node;
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new DocumentError(node, 'must be true or false');
}

function objectOf(node: DocumentNode): Readonly<Record<string, unknown>> {
  const { value } = node;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>; // any object is one of unknown properties
  }
  throw new DocumentError(node, 'must be an object');
}

function isPresent(object: Readonly<Record<string, unknown>>, name: string): boolean {
  return Object.hasOwn(object, name) && object[name] !== null && object[name] !== undefined;
}

function join(path: string, name: string): string {
  const shown = name.slice(0, SHOWN_KEY_LENGTH);
  return path === '' ? shown : `${path}.${shown}`;
}

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

/** Objects and lists within each other, the arguments themselves included; a gateway reads no deeper message. */
const MAX_DEPTH = 48;

/** Why arguments can't be sent; its message is a sentence for people. */
export class ArgumentsError extends Error {
  override readonly name = 'ArgumentsError';
}

/**
 * The arguments, unchanged, once it is certain that what the gateway gets is exactly what the handler gets: a Struct would turn much of
 * what it can't hold into null. Throws an ArgumentsError otherwise, also for more than `maxBytes` of JSON in UTF-8.
 */
export function checkArguments(args: unknown, maxBytes: number): JsonObject {
  if (!isPlainObject(args)) {
    throw new ArgumentsError('The arguments are not an object.');
  }
  checkObject(args, 'arguments', 1);
  if (new TextEncoder().encode(JSON.stringify(args)).length > maxBytes) {
    throw new ArgumentsError(`The arguments are larger than ${maxBytes / 1024} KiB.`);
  }
  return args;
}

/** The text of JSON with sorted keys: the same for the same arguments. */
export function canonicalText(value: JsonValue): string {
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map(canonicalText).join()}]`;
  }
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalText(member)}`).join()}}`;
}

function checkValue(value: unknown, path: string, depth: number): void {
  if (value === null || typeof value === 'boolean') {
    return;
  }
  if (typeof value === 'string') {
    checkText(value, path);
  } else if (typeof value === 'number') {
    check(Number.isFinite(value), path, `is ${value}`);
  } else if (Array.isArray(value)) {
    checkList(value, path, depth + 1);
  } else if (isPlainObject(value)) {
    checkObject(value, path, depth + 1);
  } else {
    check(false, path, `is ${describe(value)}`);
  }
}

function checkList(list: readonly unknown[], path: string, depth: number): void {
  checkDepth(depth);
  // The keys of a list are its indexes and `length`.
  check(Reflect.ownKeys(list).length === list.length + 1, path, 'has gaps, or members with names');
  for (const [index, item] of list.entries()) {
    checkValue(item, `${path}[${index}]`, depth);
  }
}

function checkObject(object: JsonObject, path: string, depth: number): void {
  checkDepth(depth);
  for (const key of Reflect.ownKeys(object)) {
    const property = Object.getOwnPropertyDescriptor(object, key);
    const isField = typeof key === 'string' && property?.enumerable === true && 'value' in property;
    check(isField, path, 'has members that are not plain fields');
    checkText(key, path);
    // Not every decoder keeps it apart from the prototype.
    check(key !== '__proto__', path, `has a member '__proto__'`);
    checkValue(property.value, `${path}.${key}`, depth);
  }
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH) {
    throw new ArgumentsError(`The arguments are nested deeper than ${MAX_DEPTH} levels, or contain themselves.`);
  }
}

function checkText(text: string, path: string): void {
  check(!/\p{Surrogate}/u.test(text), path, 'is no valid Unicode text');
}

function check(isRight: boolean, path: string, problem: string): asserts isRight {
  if (!isRight) {
    const place = path.length > 100 ? `${path.slice(0, 100)}…` : path;
    throw new ArgumentsError(`'${place}' ${problem}, which can't be sent.`);
  }
}

/** Also one of another realm, which has an Object of its own. */
function isPlainObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return false;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (typeof prototype === 'object' && Object.getPrototypeOf(prototype) === null);
}

function describe(value: unknown): string {
  return typeof value === 'object' ? 'an object of a class' : `a value of type ${typeof value}`;
}

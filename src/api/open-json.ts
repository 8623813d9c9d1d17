import type { JsonValue } from '@bufbuild/protobuf';
import type { FieldViolation } from '../domain/errors.ts';

/** Deepest nesting of what is stored, so that messages around it stay within the 100 levels that clients read. */
const MAX_JSON_DEPTH = 32;

/**
 * What keeps open JSON from being stored and merged: numbers that JSON has no form for, keys that would change an object's nature, and
 * nesting beyond `maxDepth` objects and lists.
 */
export function findUnfitJson(field: string, value: JsonValue, maxDepth = MAX_JSON_DEPTH): FieldViolation[] {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return [{ field, description: 'must not be NaN or infinite' }];
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  if (maxDepth === 0) {
    return [{ field, description: 'is nested too deep; use fewer levels' }];
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => findUnfitJson(`${field}[${index}]`, item, maxDepth - 1));
  }
  return Object.entries(value).flatMap(([key, item]) =>
    key === '__proto__' ? [reservedKey(field)] : findUnfitJson(`${field}.${pathKey(key)}`, item, maxDepth - 1),
  );
}

/** A key of a request as a path of an error shows it: clients choose keys, and an error has to be short. */
export function pathKey(key: string): string {
  return key.length > MAX_KEY_SHOWN ? `${key.slice(0, MAX_KEY_SHOWN)}…` : key;
}

const MAX_KEY_SHOWN = 40;

/** The violation of an object that has a key which many programs would take for its prototype. */
export function reservedKey(field: string): FieldViolation {
  return { field, description: 'must not have the key "__proto__"' };
}

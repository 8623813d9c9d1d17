import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { asObject } from './json.ts';

/** The target with an RFC 7396 merge patch applied: `null` deletes, objects are merged, all else is replaced. Changes neither. */
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  const changes = asObject(patch);
  return changes === undefined ? patch : patchObject(asObject(target) ?? {}, changes, mergePatch);
}

/** Applies `merge` to each key of the patch that is not null; keys keep their places, and new ones come last. */
export function patchObject(
  target: JsonObject,
  patch: JsonObject,
  merge: (target: JsonValue | undefined, patch: JsonValue, key: string) => JsonValue,
): JsonObject {
  const merged = new Map(Object.entries(target));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      merged.delete(key);
    } else {
      merged.set(key, merge(merged.get(key), value, key));
    }
  }
  return Object.fromEntries(merged);
}

import type { JsonObject } from '@bufbuild/protobuf';

/** The value if it is a JSON object; it must come from a JSON parser. */
export function asObject(value: unknown): JsonObject | undefined {
  // A parsed object holds nothing but JSON values.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** The value if it is a string, else an empty one. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

import type { JsonObject } from '../domain/json.ts';

/** A definition larger than this, as JSON in UTF-8, is not offered. */
export const MAX_DEFINITION_BYTES = 512 * 1024;

/** Why {@link definitionJson} refuses one, for people. */
export const NOT_OFFERABLE = 'its definition is larger than 512 KiB or nested too deeply';

/** The JSON text of a definition; undefined when it is too large or nested too deeply to be written. */
export function definitionJson(definition: JsonObject): string | undefined {
  const json = jsonText(definition);
  return json !== undefined && fits(json) ? json : undefined;
}

/** The JSON text; undefined for what is nested too deeply. */
export function jsonText(definition: JsonObject): string | undefined {
  try {
    return JSON.stringify(definition);
  } catch {
    // JSON.parse reads any depth; JSON.stringify recurses and overflows the stack.
    return undefined;
  }
}

function fits(json: string): boolean {
  // A UTF-16 unit takes at most three bytes, so most texts need not be measured.
  return json.length * 3 <= MAX_DEFINITION_BYTES || Buffer.byteLength(json) <= MAX_DEFINITION_BYTES;
}

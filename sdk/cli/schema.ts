/** A JSON Schema that is an object, so neither `true` nor `false`. */
export type Schema = Readonly<Record<string, unknown>>;

/** True for any object. */
export function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

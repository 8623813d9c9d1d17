/** The object without its undefined properties, for optional properties that may be absent but not undefined. */
export type Present<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** Leaves out the properties that are undefined, so that an update changes only what the request sets. */
export function present<T extends object>(properties: T): Partial<Present<T>> {
  // Object.entries loses the key types that the filter keeps.
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as Partial<
    Present<T>
  >;
}

/** A mapping of a YAML file whose fields are read one by one, so that a misspelt one is an error and not a test that says nothing. */
export interface Fields {
  readonly where: string;
  /** The field, or undefined; the cast trusts the author of the case about its type. */
  find<T>(name: string): T | undefined;
  get<T>(name: string): T;
  /** The field as a mapping to be read; ends it by itself. */
  read<T>(name: string, reader: (fields: Fields) => T): T | undefined;
  readList<T>(name: string, reader: (fields: Fields) => T): T[];
  /** Throws when the mapping has a field nobody asked for. */
  end(): void;
}

/** Makes one; `where` names the place in errors. */
export function createFields(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${where} must be a mapping`);
  }
  const map = value as Readonly<Record<string, unknown>>;
  const asked = new Set<string>();
  const find = <T>(name: string) => {
    asked.add(name);
    return map[name] as T | undefined;
  };
  return {
    where,
    find,
    get<T>(name: string) {
      const found = find<T>(name);
      if (found === undefined) throw new Error(`${where} lacks '${name}'`);
      return found;
    },
    read(name, reader) {
      const found = find(name);
      return found === undefined ? undefined : readAll(found, `${where}.${name}`, reader);
    },
    readList(name, reader) {
      const found = find<unknown[]>(name) ?? [];
      return found.map((item, index) => readAll(item, `${where}.${name}[${index}]`, reader));
    },
    end() {
      const unknown = Object.keys(map).filter((name) => !asked.has(name));
      if (unknown.length > 0) throw new Error(`${where} has the unknown field ${unknown.join(', ')}`);
    },
  };
}

/** Reads a whole mapping: every field of it must be asked for. */
export function readAll<T>(value: unknown, where: string, reader: (fields: Fields) => T): T {
  const fields = createFields(value, where);
  const result = reader(fields);
  fields.end();
  return result;
}

/** The object without its undefined fields. */
export function defined<T extends object>(fields: { readonly [Name in keyof T]: T[Name] | undefined }): T {
  // What is left are the fields that have the type T gives them.
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/**
 * JSON with the keys of every object in code unit order, as RFC 8785 section 3.2.3 orders them, so that the order in which a client
 * writes arguments does not change their digest. The value must come from JSON.parse; raw JSON numbers in it stay as written.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value !== 'object') {
    return JSON.stringify(value) ?? 'null';
  }
  if (Array.isArray(value)) {
    return `[${value.map(canonicalJson).join(',')}]`;
  }
  return JSON.isRawJSON(value) ? value.rawJSON : canonicalObject(value as Readonly<Record<string, unknown>>);
}

function canonicalObject(object: Readonly<Record<string, unknown>>): string {
  const keys = Object.keys(object);
  if (keys.length > 1) {
    keys.sort();
  }
  let text = '';
  for (const key of keys) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(object[key])}`;
  }
  return `{${text}}`;
}

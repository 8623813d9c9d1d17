import { isSchema } from './schema.ts';

/** A reference within the same document: a JSON pointer, or an anchor in `$defs`; undefined for any other, which is not fetched. */
export function resolve(root: unknown, reference: string): unknown {
  if (reference === '#') {
    return root;
  }
  if (reference.startsWith('#/')) {
    return followPointer(root, reference.slice(2));
  }
  const definitions = isSchema(root) && isSchema(root['$defs']) ? Object.values(root['$defs']) : [];
  const anchor = reference.slice(1);
  return reference.startsWith('#')
    ? definitions.find((schema) => isSchema(schema) && [schema['$anchor'], schema['$dynamicAnchor']].includes(anchor))
    : undefined;
}

/** RFC 6901, in a URI fragment. */
function followPointer(root: unknown, pointer: string): unknown {
  let target: unknown = root;
  for (const part of pointer.split('/')) {
    const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~');
    const holder: unknown = target;
    target =
      typeof holder === 'object' && holder !== null && Object.hasOwn(holder, key)
        ? (holder as Readonly<Record<string, unknown>>)[key]
        : undefined;
  }
  return target;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

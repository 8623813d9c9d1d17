import type { CelFunc } from '@bufbuild/cel';

/** Types by the names that the language has for them; `dyn` is known at run time only. */
export type ScalarType =
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'null_type'
  | 'type'
  | 'dyn'
  | 'google.protobuf.Timestamp'
  | 'google.protobuf.Duration';

/** The type of an expression. Keys of maps are not followed: JSON has only strings. */
export type ExprType = ScalarType | { readonly list: ExprType } | { readonly map: ExprType };

type CelType = CelFunc['result'];

/** The type as the package's functions declare it. */
export function typeOf(type: CelType): ExprType {
  switch (type.kind) {
    case 'list':
      return { list: typeOf(type.element) };
    case 'map':
      return { map: typeOf(type.value) };
    default:
      // The rest of the package's names are those of ScalarType.
      return type.name as ScalarType;
  }
}

/** True when a value of one type may be what a place of the other type takes. */
export function isAssignable(from: ExprType, to: ExprType): boolean {
  if (from === 'dyn' || to === 'dyn') return true;
  if (typeof from === 'string' || typeof to === 'string') return from === to;
  if ('list' in from) return 'list' in to && isAssignable(from.list, to.list);
  return 'map' in to && isAssignable(from.map, to.map);
}

const numbers: ReadonlySet<ExprType> = new Set<ExprType>(['int', 'uint', 'double']);

/** True when values of the types can be the same. Numbers of all types are compared by what they are. */
export function isComparable(left: ExprType, right: ExprType): boolean {
  if (numbers.has(left) && numbers.has(right)) return true;
  if (typeof left === 'string' || typeof right === 'string') return isAssignable(left, right);
  if ('list' in left) return 'list' in right && isComparable(left.list, right.list);
  return 'map' in right && isComparable(left.map, right.map);
}

/** The type of what may be of either type. */
export function joinTypes(left: ExprType, right: ExprType): ExprType {
  if (typeof left === 'string' || typeof right === 'string') return left === right ? left : 'dyn';
  if ('list' in left) return 'list' in right ? { list: joinTypes(left.list, right.list) } : 'dyn';
  return 'map' in right ? { map: joinTypes(left.map, right.map) } : 'dyn';
}

/** The type for people. */
export function writeType(type: ExprType): string {
  if (typeof type !== 'string')
    return 'list' in type ? `list(${writeType(type.list)})` : `map(string, ${writeType(type.map)})`;
  return type.replace('google.protobuf.', '').toLowerCase();
}

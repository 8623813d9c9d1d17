import { type DescField, fromJson, type JsonObject, type JsonValue, ScalarType } from '@bufbuild/protobuf';
import type { FieldViolation } from '../domain/errors.ts';
import { asObject } from './json.ts';
import { mergePatch, patchObject } from './merge-patch.ts';
import { findUnfitJson, pathKey, reservedKey } from './open-json.ts';

/** What a merge patch of a message needs to tell what is wrong with it. */
export interface PatchReport {
  /** Everything that was found; filled by the patch. */
  readonly violations: FieldViolation[];
  /** What to say of keys that are none where they stand, such as `"_delete"`, by key; others are told which keys there are. */
  readonly hints: ReadonlyMap<string, string>;
}

/**
 * The JSON form of a message, with names as in the contract, after a merge patch: `null` deletes, messages, maps and open JSON are
 * merged, all else is replaced. Keys and values that are not the message's are reported, and left out.
 */
export function patchMessage(
  fields: readonly DescField[],
  target: JsonObject,
  patch: JsonObject,
  at: { readonly path: string; readonly report: PatchReport },
): JsonObject {
  const { path, report } = at;
  const known = new Map(fields.map((field) => [field.name, field]));
  const changes = Object.entries(patch).filter(([key]) => known.has(key) || reportKey(fields, key, path, report));
  return patchObject(target, Object.fromEntries(changes), (old, value, key) => {
    const field = known.get(key);
    return field === undefined ? value : patchField(field, old, value, { path: `${path}.${key}`, report });
  });
}

type Place = Parameters<typeof patchMessage>[3];

function patchField(field: DescField, old: JsonValue | undefined, value: JsonValue, at: Place): JsonValue {
  if (field.fieldKind === 'map') {
    return patchMap(field, old, value, at);
  }
  if (field.message === undefined || field.message.typeName === 'google.protobuf.Duration') {
    reportValue(field, value, at);
    return value;
  }
  const changes = asObject(value);
  if (changes === undefined) {
    return refuse(field, at);
  }
  if (field.message.typeName === 'google.protobuf.Struct') {
    const unfit = findUnfitJson(at.path, changes);
    at.report.violations.push(...unfit);
    return unfit.length > 0 ? {} : mergePatch(old, changes);
  }
  return patchMessage(field.message.fields, asObject(old) ?? {}, changes, at);
}

function patchMap(
  field: DescField & { fieldKind: 'map' },
  old: JsonValue | undefined,
  value: JsonValue,
  { path, report }: Place,
): JsonValue {
  const changes = asObject(value);
  if (changes === undefined) {
    return refuse(field, { path, report });
  }
  if (Object.hasOwn(changes, '__proto__')) {
    report.violations.push(reservedKey(path));
    return {};
  }
  return patchObject(asObject(old) ?? {}, changes, (oldItem, item, key) => {
    const at = { path: `${path}[${JSON.stringify(pathKey(key))}]`, report };
    const itemChanges = asObject(item);
    return itemChanges === undefined
      ? refuse(field, at)
      : patchMessage(field.message?.fields ?? [], asObject(oldItem) ?? {}, itemChanges, at);
  });
}

function refuse(field: DescField, { path, report }: Place): JsonValue {
  report.violations.push({ field: path, description: `must be ${formOf(field)}` });
  return {};
}

function reportKey(fields: readonly DescField[], key: string, path: string, { violations, hints }: PatchReport): false {
  const meant = fields.find(({ jsonName }) => jsonName === key);
  const hint =
    meant === undefined
      ? (hints.get(key) ?? `is not a key here; use one of ${fields.map(({ name }) => name).join(', ')}`)
      : `is not a key here; write ${meant.name}`;
  violations.push({ field: `${path}.${pathKey(key)}`, description: hint });
  return false;
}

/** Lets the message's own JSON form decide, one field at a time, so that the path is known. */
function reportValue(field: DescField, value: JsonValue, { path, report }: Place): void {
  try {
    fromJson(field.parent, { [field.name]: value });
  } catch {
    report.violations.push({ field: path, description: `must be ${formOf(field)}, or null` });
  }
}

function formOf(field: DescField): string {
  if (field.fieldKind === 'list') {
    return 'a list of strings';
  }
  if (field.enum !== undefined) {
    return `one of ${field.enum.values.flatMap(({ name, number }) => (number === 0 ? [] : [name])).join(', ')}`;
  }
  if (field.message?.typeName === 'google.protobuf.Duration') {
    return 'a duration in seconds, such as "60s"';
  }
  if (field.message !== undefined || field.fieldKind === 'map') {
    return 'an object';
  }
  return field.scalar === ScalarType.BOOL ? 'true or false' : 'a string';
}

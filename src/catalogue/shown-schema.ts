import type { ToolOverride } from '../domain/gateway.ts';
import type { JsonObject } from '../domain/json.ts';
import { isObject } from '../upstream/message.ts';

/**
 * The schema of a tool's arguments as clients see it: without fixed arguments, and with defaults told as such and not required. Only
 * the top level is looked at, and what stays the same is not copied.
 */
export function shownSchema(schema: JsonObject, override: ToolOverride): JsonObject {
  const defaults = override.argumentDefaults ?? {};
  const fixed = override.fixedArguments ?? {};
  const given = new Set([...Object.keys(defaults), ...Object.keys(fixed)]);
  if (given.size === 0) {
    return schema;
  }
  const shown: Record<string, unknown> = { ...schema };
  if (isObject(schema['properties'])) {
    shown['properties'] = shownProperties(schema['properties'], defaults, fixed);
  }
  const dependents = isObject(schema['dependentRequired']) ? Object.entries(schema['dependentRequired']) : [];
  if (dependents.length > 0) {
    put(shown, 'dependentRequired', shownDependents(dependents, given));
  }
  const needed = [schema['required'], ...dependents.filter(([name]) => given.has(name)).map(([, names]) => names)];
  put(shown, 'required', [...new Set(needed.flatMap((names) => without(names, given)))]);
  return shown;
}

function shownProperties(properties: JsonObject, defaults: JsonObject, fixed: JsonObject): JsonObject {
  const shown = Object.entries(properties).filter(([name]) => !Object.hasOwn(fixed, name));
  return Object.fromEntries(
    shown.map(([name, schema]) => [name, Object.hasOwn(defaults, name) ? withDefault(schema, defaults[name]) : schema]),
  );
}

/** A schema may also be `true`, which allows anything. */
function withDefault(schema: unknown, value: unknown): unknown {
  return isObject(schema) ? { ...schema, default: value } : schema === true ? { default: value } : schema;
}

/** What an argument needs beside it; an argument that is always given makes its needs required, so they are not told here. */
function shownDependents(dependents: readonly [string, unknown][], given: ReadonlySet<string>): JsonObject {
  const shown = dependents.filter(([name]) => !given.has(name));
  return Object.fromEntries(shown.map(([name, names]) => [name, Array.isArray(names) ? without(names, given) : names]));
}

function without(names: unknown, given: ReadonlySet<string>): unknown[] {
  return Array.isArray(names) ? names.filter((name) => !given.has(name)) : [];
}

/** Sets a key where it stands, or takes it away when nothing is left in it: drafts before 2019-09 forbid an empty `required`. */
function put(schema: Record<string, unknown>, key: string, value: JsonObject | readonly unknown[]): void {
  if (Object.keys(value).length > 0) {
    schema[key] = value;
  } else {
    delete schema[key];
  }
}

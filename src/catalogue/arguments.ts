import type { ToolOverride } from '../domain/gateway.ts';
import type { JsonObject } from '../domain/json.ts';

/**
 * The arguments with which the upstream is called: the client's, defaults where it gave none, and fixed ones whatever it gave. Values
 * are not copied, so numbers keep their text. Without anything to add it is the client's object itself.
 */
export function finalArguments(
  override: ToolOverride | undefined,
  client: JsonObject | undefined,
): JsonObject | undefined {
  const { argumentDefaults, fixedArguments } = override ?? {};
  if (isEmpty(argumentDefaults) && isEmpty(fixedArguments)) {
    return client;
  }
  // Spreading defines own properties, also one called `__proto__`.
  return { ...argumentDefaults, ...client, ...fixedArguments };
}

/** Names of the arguments that clients do not see. */
export function hiddenArguments(override: ToolOverride | undefined): readonly string[] {
  return Object.keys(override?.fixedArguments ?? {});
}

/**
 * An argument of the client that differs by case only from a fixed one: some upstreams match names regardless of case, and to them it
 * would be the fixed argument, with the client's value.
 */
export function findLookalike(override: ToolOverride | undefined, client: JsonObject): string | undefined {
  const fixed = hiddenArguments(override);
  if (fixed.length === 0) {
    return undefined;
  }
  const folded = new Set(fixed.map(foldCase));
  return Object.keys(client).find((name) => !fixed.includes(name) && folded.has(foldCase(name)));
}

/** Also of letters that are ASCII in one case only, such as the long s. */
function foldCase(name: string): string {
  return name.toUpperCase().toLowerCase();
}

function isEmpty(values: JsonObject | undefined): boolean {
  return values === undefined || Object.keys(values).length === 0;
}

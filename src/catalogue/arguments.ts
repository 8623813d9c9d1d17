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

function isEmpty(values: JsonObject | undefined): boolean {
  return values === undefined || Object.keys(values).length === 0;
}

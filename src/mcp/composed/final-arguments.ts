import { finalArguments, findLookalike } from '../../catalogue/arguments.ts';
import type { ToolOverride } from '../../domain/gateway.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isObject } from '../../upstream/message.ts';
import type { CallArguments } from '../govern.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { withMembers } from '../json-text.ts';

/** The arguments of a call as its upstream gets them. */
export interface FinalArguments {
  readonly arguments: CallArguments;
  /** Their JSON with every number as written; undefined when the client's own stay as they are. */
  readonly text: string | undefined;
}

/**
 * Adds an override's defaults and fixed arguments to those of a client; `textOf` finds the JSON of the client's.
 *
 * @throws InvalidMessageError when there is something to add, but nothing that it could be added to, or what could be taken for it
 */
export function addArguments(
  override: ToolOverride | undefined,
  given: CallArguments,
  textOf: () => string | undefined,
): FinalArguments {
  const client = given.arguments;
  if (
    override === undefined ||
    Object.keys({ ...override.argumentDefaults, ...override.fixedArguments }).length === 0
  ) {
    return { arguments: given, text: undefined };
  }
  if (client !== undefined && !isObject(client)) {
    throw new InvalidMessageError(-32602, `'params.arguments' must be an object`);
  }
  const lookalike = findLookalike(override, client ?? {});
  if (lookalike !== undefined) {
    throw new InvalidMessageError(-32602, `'${lookalike}' is no argument of this tool`);
  }
  const final = finalArguments(override, client);
  const finalText = withMembers(textOf() ?? '{}', 0, changedMembers(client ?? {}, final ?? {}));
  const exactText = given.exactText === undefined ? {} : { exactText: finalText };
  return { arguments: { arguments: final, ...exactText }, text: finalText };
}

function changedMembers(before: JsonObject, after: JsonObject): ReadonlyMap<string, string> {
  const changed = Object.entries(after).filter(([name, value]) => before[name] !== value);
  return new Map(changed.map(([name, value]) => [name, JSON.stringify(value)]));
}

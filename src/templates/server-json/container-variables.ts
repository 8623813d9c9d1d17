import type { Argument } from './arguments.ts';
import { type Input, type SettingList, toText } from './inputs.ts';

const ASSIGNMENT = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s;

/**
 * Gives a container the variables of a package: each is set for the process that starts it, and named by `-e NAME`. Arguments of the form
 * `-e NAME=value` become such variables, so that secrets in them are kept off the command line.
 */
export function takeContainerVariables(
  args: readonly Argument[],
  env: Map<string, string>,
  list: SettingList,
): { readonly variables: readonly string[]; readonly rest: readonly Argument[] } {
  const rest: Argument[] = [];
  for (const argument of args) {
    const assigned = readAssignment(argument);
    if (assigned === undefined) {
      rest.push(argument);
    } else {
      env.set(assigned.name, toText(assigned.input, assigned.name, list).text);
    }
  }
  return { variables: [...env.keys()].flatMap((name) => ['-e', name]), rest };
}

function readAssignment(argument: Argument): { readonly name: string; readonly input: Input } | undefined {
  const { input } = argument;
  if (argument.kind !== 'named' || (argument.flag !== '-e' && argument.flag !== '--env')) return undefined;
  const [, name, value] = ASSIGNMENT.exec(input.value ?? '') ?? [];
  return name === undefined ? undefined : { name, input: { ...input, value } };
}

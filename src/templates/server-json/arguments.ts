import { child, DocumentError, type DocumentNode, items, readText, requireText } from './document.ts';
import { type Input, type InputText, isAlwaysGiven, readInput, type SettingList, toText } from './inputs.ts';

/** An argument of a command line. */
export type Argument =
  | { readonly kind: 'positional'; readonly input: Input; readonly hint: string }
  | { readonly kind: 'named'; readonly input: Input; readonly flag: string; readonly hasValue: boolean };

/** Reads `runtimeArguments` or `packageArguments`. */
export function readArguments(node: DocumentNode): Argument[] {
  return items(node).map(readArgument);
}

/** The text that an argument always has; undefined when it is asked for. */
export function fixedText({ input }: Argument): string | undefined {
  return input.variables.size === 0 && !input.secret ? input.value : undefined;
}

/**
 * An argument as it stands on the command line, with places. An argument that is left out when its setting is not given is always a single
 * one: `--port=${port}`, `-p${port}`. What is repeatable is taken once.
 */
export function toArgs(argument: Argument, list: SettingList): string[] {
  if (argument.kind === 'positional') return [secretless(argument, toText(argument.input, argument.hint, list)).text];
  const { input, flag, hasValue } = argument;
  if (!hasValue) return [flag];
  const fixed = fixedText(argument);
  if (input.format === 'boolean' && (fixed === 'true' || fixed === 'false')) return fixed === 'true' ? [flag] : [];
  const value = secretless(argument, toText(input, flag, list));
  return joinFlag(flag, value);
}

function readArgument(node: DocumentNode): Argument {
  const type = child(node, 'type');
  const kind = requireText(type);
  const input = readInput(node);
  if (kind === 'positional') {
    return { kind, input, hint: readText(child(node, 'valueHint', 'value_hint')) || 'argument' };
  }
  if (kind !== 'named') throw new DocumentError(type, 'must be "positional" or "named"');
  const name = child(node, 'name');
  const flag = requireText(name);
  if (/\s/.test(flag)) throw new DocumentError(name, 'must be the name of the flag alone, without a value');
  return { kind, input, flag, hasValue: asksForValue(input) };
}

/** An input of which nothing is said is a flag without a value. */
function asksForValue({ value, description, defaultText, choices, format }: Input): boolean {
  return (
    value !== undefined || description !== '' || defaultText !== undefined || choices.length > 0 || format !== undefined
  );
}

function joinFlag(flag: string, value: InputText): string[] {
  if (flag.startsWith('--')) return [`${flag}=${value.text}`];
  if (isAlwaysGiven(value)) return [flag, value.text];
  return /^-[^-]$/.test(flag) ? [`${flag}${value.text}`] : [`${flag}=${value.text}`];
}

function secretless({ input }: Argument, text: InputText): InputText {
  if (text.settings.some(({ secret }) => secret)) {
    throw new DocumentError(input.node, 'is a secret in an argument, which every process of the machine can read');
  }
  return text;
}

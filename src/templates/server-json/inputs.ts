import type { SettingType, TemplateSetting } from '../../domain/upstream-template.ts';
import { escapeText, placeOf } from '../places.ts';
import { parseValue } from '../setting-values.ts';
import { child, DocumentError, type DocumentNode, items, properties, readFlag, readText } from './document.ts';

/** A value that the document fixes or asks for (`Input` of the registry's schema). */
export interface Input {
  readonly node: DocumentNode;
  readonly description: string;
  readonly required: boolean;
  readonly secret: boolean;
  readonly format: string | undefined;
  /** Known from where the input stands, in place of the format. */
  readonly type?: SettingType;
  readonly defaultText: string | undefined;
  readonly choices: readonly string[];
  /** Fixed, but for `{names}` of the variables. */
  readonly value: string | undefined;
  readonly variables: ReadonlyMap<string, Input>;
}

/** A text with places, and the settings that it has them for. */
export interface InputText {
  readonly text: string;
  readonly settings: readonly TemplateSetting[];
}

/** Gathers the settings of a template; names become such that no two settings share one. */
export interface SettingList {
  readonly settings: readonly TemplateSetting[];
  add(setting: TemplateSetting): TemplateSetting;
}

const DESCRIPTION_LENGTH = 2_000;
const NAME_LENGTH = 100;
const VARIABLE = /\$?\{([^{}]+)\}/g;

/** Reads an input, in the spelling of any version of the schema. */
export function readInput(node: DocumentNode): Input {
  const placeholder = readText(child(node, 'placeholder'));
  const description = readText(child(node, 'description')) ?? '';
  return {
    node,
    description: [description, placeholder && `Example: ${placeholder}`].filter(Boolean).join(' '),
    required: readFlag(child(node, 'isRequired', 'is_required')),
    secret: readFlag(child(node, 'isSecret', 'is_secret')),
    format: readText(child(node, 'format')),
    defaultText: readText(child(node, 'default')) || undefined,
    choices: items(child(node, 'choices')).flatMap((item) => readText(item) ?? []),
    value: readText(child(node, 'value')),
    variables: readVariables(child(node, 'variables')),
  };
}

/** The variables of an input or of a remote, by name. */
export function readVariables(node: DocumentNode): ReadonlyMap<string, Input> {
  return new Map(properties(node).map(([name, variable]) => [name, readInput(variable)]));
}

/** The text of an input: what it fixes, with places for its variables, or else the place of a setting of this name. */
export function toText(input: Input, name: string, list: SettingList): InputText {
  if (input.value === undefined) {
    const setting = list.add(toSetting(name, input));
    return { text: placeOf(setting.name), settings: [setting] };
  }
  return replaceVariables(
    input.value,
    (variable) => {
      const declared = input.variables.get(variable);
      // The schema leaves undeclared names as they are, but a secret that is the same for everybody is none: published documents write
      // "Bearer {token}" without saying anything of the token.
      return declared ?? (input.secret && isVariableName(variable) ? { ...input, value: undefined } : undefined);
    },
    list,
  );
}

/** Puts places, and what is fixed, where a text names variables; what `find` does not know stays as it is. */
export function replaceVariables(
  text: string,
  find: (name: string) => Input | undefined,
  list: SettingList,
): InputText {
  const settings: TemplateSetting[] = [];
  let replaced = '';
  let end = 0;
  for (const match of text.matchAll(VARIABLE)) {
    const [whole, name = ''] = match;
    const input = find(name);
    if (input === undefined) continue;
    replaced += escapeText(text.slice(end, match.index));
    end = match.index + whole.length;
    if (input.value === undefined) {
      const setting = list.add(toSetting(name, input));
      settings.push(setting);
      replaced += placeOf(setting.name);
    } else {
      replaced += escapeText(input.value);
    }
  }
  return { text: replaced + escapeText(text.slice(end)), settings };
}

/** True for what authors mean as the name of a variable, unlike other text in braces. */
export function isVariableName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(text);
}

/** True when a text is never left out. */
export function isAlwaysGiven({ settings }: InputText): boolean {
  return settings.every(({ required, defaultValue }) => required || defaultValue !== undefined);
}

/** As many as a template may have. */
const MAX_SETTINGS = 100;

/** Makes an empty list for what a part of a document asks; the list throws a DocumentError when that is too much. */
export function createSettingList(source: DocumentNode): SettingList {
  const settings: TemplateSetting[] = [];
  return {
    settings,
    add(wanted) {
      for (let count = 1; ; count += 1) {
        const setting = count === 1 ? wanted : { ...wanted, name: `${wanted.name}_${count}` };
        const other = settings.find(({ name }) => name === setting.name);
        if (other === undefined && settings.length === MAX_SETTINGS) {
          throw new DocumentError(source, `asks for more than ${MAX_SETTINGS} values, which a template cannot have`);
        }
        if (other === undefined) settings.push(setting);
        // What has the same name and is described alike is the same thing, such as a token in two headers.
        if (other === undefined || isAlike(other, setting)) return other ?? setting;
      }
    },
  };
}

/** A setting for what an input asks. A default that is not of the format, or not among the choices, still holds: it makes them wider. */
export function toSetting(name: string, input: Input, type = input.type ?? typeOf(input)): TemplateSetting {
  const { description, required, secret, choices } = input;
  const defaultText = secret ? undefined : input.defaultText;
  const defaultValue = defaultText === undefined ? undefined : parseValue(type, defaultText);
  const fits = defaultText === undefined || defaultValue !== undefined;
  const allFit = fits && choices.every((choice) => parseValue(type, choice) !== undefined);
  if (!allFit && type !== 'string') return toSetting(name, input, 'string');
  const wider = defaultText === undefined || choices.length === 0 || choices.includes(defaultText);
  return {
    name: toName(name),
    description: description.slice(0, DESCRIPTION_LENGTH),
    type,
    required,
    secret,
    choices: wider ? choices : [defaultText, ...choices],
    ...(defaultValue === undefined ? {} : { defaultValue }),
  };
}

function typeOf({ format }: Input): SettingType {
  switch (format) {
    case 'number':
    case 'boolean':
      return format;
    case 'filepath':
      return 'path';
    default:
      return 'string';
  }
}

function toName(text: string): string {
  const name = text
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, NAME_LENGTH);
  return /^[A-Za-z]/.test(name) ? name : `_${name}`;
}

function isAlike(one: TemplateSetting, other: TemplateSetting): boolean {
  return JSON.stringify({ ...one, description: '' }) === JSON.stringify({ ...other, description: '' });
}

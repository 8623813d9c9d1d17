import type { FieldViolation } from '../domain/errors.ts';
import type { Transport } from '../domain/upstream.ts';
import type { SettingValue, TemplateContent, TemplateSetting } from '../domain/upstream-template.ts';
import { fillUrl, type SettingProblem } from './fill-url.ts';
import { fillText, parseText, settingsOf, type TemplateText } from './places.ts';
import { findValueProblem, textOf } from './setting-values.ts';

/** What an upstream gets from a template, without any places. */
export interface FilledTemplate {
  readonly transport: Transport;
  readonly headers: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/** Either what the settings make of a template, or what is wrong with them, at `template.settings.NAME`. */
export type Filling =
  | { readonly filled: FilledTemplate; readonly violations?: never }
  | { readonly filled?: never; readonly violations: readonly FieldViolation[] };

/** Setting names are given by clients, and errors travel in headers. */
const SHOWN_NAME_LENGTH = 128;

const HEADER_VALUE = /^[\x20-\x7e]*$/;

/**
 * Puts the values of settings (of parsed JSON) into the places of a template that was checked when it was saved. An argument, header or
 * variable with a place whose setting has neither a value nor a default is left out as a whole; an argument stays one argument. A value is
 * not read for places again.
 */
export function fillTemplate(content: TemplateContent, given: Readonly<Record<string, unknown>>): Filling {
  const violations = checkSettings(content, given).map(toViolation);
  if (violations.length > 0) return { violations };
  const filler = createFiller(content, given);
  const filled = {
    transport: filler.fillTransport(content.transport),
    headers: filler.fillValues(content.headers, checkHeader),
    env: filler.fillValues(content.env, () => undefined),
  };
  return filler.problems.length === 0 ? { filled } : { violations: filler.problems.map(toViolation) };
}

function checkSettings({ settings }: TemplateContent, given: Readonly<Record<string, unknown>>): SettingProblem[] {
  const names = settings.map(({ name }) => name);
  const unknown = Object.keys(given).filter((name) => !names.includes(name));
  const known = names.length === 0 ? 'has none' : `has: ${names.join(', ')}`;
  return [
    ...unknown.map((setting) => ({ setting, description: `is not a setting of the template, which ${known}` })),
    ...settings.flatMap((setting) => {
      const description = checkSetting(setting, given);
      return description === undefined ? [] : [{ setting: setting.name, description }];
    }),
  ];
}

function checkSetting(setting: TemplateSetting, given: Readonly<Record<string, unknown>>): string | undefined {
  if (Object.hasOwn(given, setting.name)) return findValueProblem(setting, given[setting.name]);
  return setting.required && setting.defaultValue === undefined ? `must be given: ${wanted(setting)}` : undefined;
}

function wanted({ type, description }: TemplateSetting): string {
  const kind = `the template requires it, as ${type.toUpperCase()}`;
  return description === '' ? kind : `${kind} (${description.slice(0, 200)})`;
}

function createFiller(content: TemplateContent, given: Readonly<Record<string, unknown>>) {
  const problems: SettingProblem[] = [];
  const settings = new Map(content.settings.map((setting) => [setting.name, setting]));
  const values = new Map(content.settings.map((setting) => [setting.name, valueOf(setting, given)]));
  const find = (name: string) => settings.get(name);

  const check = (text: TemplateText, findProblem: (value: string) => string | undefined) => {
    for (const setting of settingsOf(text)) {
      const value = values.get(setting);
      const description = value === undefined ? undefined : findProblem(value);
      if (description !== undefined) problems.push({ setting, description });
    }
  };
  const fill = (text: string, findProblem: (text: TemplateText) => void) => {
    const parsed = parseText(text) ?? [];
    const filled = fillText(parsed, (setting) => values.get(setting));
    if (filled !== undefined) findProblem(parsed);
    return filled;
  };
  const fillTransport = (transport: Transport): Transport => {
    if (transport.kind === 'stdio') {
      const args = transport.args.map((text) =>
        fill(text, (parsed) => check(beginningOf(parsed, values), checkArgument)),
      );
      return { ...transport, args: args.filter((text) => text !== undefined) };
    }
    // Every place of a URL has a value: that is checked when the template is saved.
    const { url, problems: found } = fillUrl(parseText(transport.url) ?? [], find, (name) => values.get(name) ?? '');
    problems.push(...found);
    return { ...transport, url };
  };
  const fillValues = (texts: Readonly<Record<string, string>>, findProblem: typeof checkHeader) => {
    const filled = Object.entries(texts).map(
      ([name, text]) => [name, fill(text, (parsed) => check(parsed, findProblem))] as const,
    );
    return Object.fromEntries(filled.flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])));
  };
  return { problems, fillTransport, fillValues };
}

/** The part of an argument whose value decides how it begins, unless that is a literal. */
function beginningOf(text: TemplateText, values: ReadonlyMap<string, string | undefined>): TemplateText {
  return text.filter((part) => 'literal' in part || values.get(part.setting) !== '').slice(0, 1);
}

function valueOf(setting: TemplateSetting, given: Readonly<Record<string, unknown>>): string | undefined {
  const value = Object.hasOwn(given, setting.name) ? given[setting.name] : setting.defaultValue;
  return value === undefined ? undefined : textOf(value as SettingValue); // its type was checked
}

function checkHeader(value: string): string | undefined {
  return HEADER_VALUE.test(value) ? undefined : 'must be of printable ASCII characters, because it stands in a header';
}

/** A text that an argument begins with could become an option of the command; a number may be negative. */
function checkArgument(value: string): string | undefined {
  const option = value.startsWith('-') && !Number.isFinite(Number(value));
  return option ? 'must not begin with a hyphen, because an argument begins with it' : undefined;
}

function toViolation({ setting, description }: SettingProblem): FieldViolation {
  return { field: `template.settings.${setting.slice(0, SHOWN_NAME_LENGTH)}`, description };
}

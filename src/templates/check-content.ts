import type { FieldViolation } from '../domain/errors.ts';
import type { TemplateContent, TemplateSetting } from '../domain/upstream-template.ts';
import { hasDotSegment, isBase } from './fill-url.ts';
import { fillText, parseText, settingsOf, type TemplateText } from './places.ts';
import { findTypeProblem, findValueProblem, parseValue } from './setting-values.ts';

/** A text of a template that may have places, and where it stands. */
interface PlacedText {
  readonly field: string;
  readonly where: 'url' | 'argument' | 'value';
  readonly text: string;
}

const BROKEN_PLACE = 'holds a "${" that begins no place such as "${name}"; write "$${" for the characters themselves';

/** What is wrong with the settings of a template and with its places for them; fields are relative to the content. */
export function checkContent(content: TemplateContent): FieldViolation[] {
  const texts = listTexts(content);
  const used = new Set(texts.flatMap(({ text }) => settingsOf(parseText(text) ?? [])));
  return [
    ...checkFixed(content),
    ...texts.flatMap((text) => checkText(text, content.settings)),
    ...content.settings.flatMap((setting, index) =>
      checkSetting(setting, content.settings.slice(0, index), used).map((description) => ({
        field: `settings[${index}]`,
        description,
      })),
    ),
  ];
}

function listTexts({ transport, headers, env }: TemplateContent): PlacedText[] {
  return [
    ...(transport.kind === 'stdio'
      ? transport.args.map((text, index) => ({
          field: `transport.stdio.args[${index}]`,
          where: 'argument' as const,
          text,
        }))
      : [{ field: `transport.${transport.kind}.url`, where: 'url' as const, text: transport.url }]),
    ...Object.entries(headers).map(([name, text]) => ({ field: `headers.${name}`, where: 'value' as const, text })),
    ...Object.entries(env).map(([name, text]) => ({ field: `env.${name}`, where: 'value' as const, text })),
  ];
}

function checkFixed({ transport }: TemplateContent): FieldViolation[] {
  if (transport.kind !== 'stdio') return [];
  const fixed = { command: transport.command, working_directory: transport.workingDirectory ?? '' };
  return Object.entries(fixed)
    .filter(([, text]) => text.includes('${'))
    .map(([name]) => ({ field: `transport.stdio.${name}`, description: 'has no places; only URL and arguments have' }));
}

function checkText({ field, where, text }: PlacedText, settings: readonly TemplateSetting[]): FieldViolation[] {
  const parsed = parseText(text);
  if (parsed === undefined) return [{ field, description: BROKEN_PLACE }];
  const find = (name: string) => settings.find((setting) => setting.name === name);
  const places = settingsOf(parsed).flatMap((name) => checkPlace(name, find(name), where));
  const shape = where === 'url' ? checkUrlShape(parsed, find) : [];
  return [...places, ...shape].map((description) => ({ field, description }));
}

function checkPlace(name: string, setting: TemplateSetting | undefined, where: PlacedText['where']): string[] {
  if (setting === undefined) return [`has a place for "${name}", which is not among the settings`];
  if (where === 'value') return [];
  if (setting.secret) return [`has a place for the secret "${name}"; secrets stand in headers and variables only`];
  return where === 'url' && !setting.required && setting.defaultValue === undefined
    ? [`has a place for "${name}", which must be required or have a default, because a URL can't do without it`]
    : [];
}

function checkUrlShape(text: TemplateText, find: (name: string) => TemplateSetting | undefined): string[] {
  const [first, next] = text;
  const filled = fillText(text, () => 'x') ?? '';
  const problems = [];
  if (isBase(text, 0, find)) {
    if (next !== undefined && !('literal' in next && /^[/?]/.test(next.literal))) {
      problems.push('must go on with "/" or "?" after the place that it begins with');
    }
  } else if (first === undefined || 'setting' in first || !/^https?:\/\//i.test(first.literal)) {
    problems.push('must begin with "http://", with "https://", or with the place of a setting of the type URL');
  }
  if (hasDotSegment(filled)) problems.push('must not have segments that lead to another one, such as ".."');
  return problems;
}

function checkSetting(
  setting: TemplateSetting,
  before: readonly TemplateSetting[],
  used: ReadonlySet<string>,
): string[] {
  const { name, type, secret, choices, defaultValue } = setting;
  const problems = choices
    .filter((choice) => parseValue(type, choice) === undefined)
    .map(
      (choice) =>
        `has the choice "${choice.slice(0, 100)}", which is not a value of its type, written as it is filled in`,
    );
  if (before.some((other) => other.name === name)) problems.push(`has the name "${name}", which another one has too`);
  if (!used.has(name)) problems.push(`is used nowhere: there is no place "\${${name}}"`);
  if (defaultValue === undefined) return problems;
  const problem = findTypeProblem(type, defaultValue) ?? findValueProblem(setting, defaultValue);
  if (problem !== undefined) problems.push(`has a default_value that ${problem}`);
  if (secret) problems.push('has a default_value, which a secret must not have: everybody could read it');
  return problems;
}

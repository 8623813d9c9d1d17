import { isAbsolute } from 'node:path';
import type { SettingType, SettingValue, TemplateSetting } from '../domain/upstream-template.ts';

/** What a value of each type must be, as words after "must be". */
const WANTED: Readonly<Record<SettingType, string>> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number between -9007199254740991 and 9007199254740991',
  boolean: 'true or false',
  url: 'an absolute http or https URL, as a text',
  path: 'an absolute path of the machine that the gateway runs on, as a text',
};

// Control characters and spaces, which a URL parser would cut out unseen.
const NOT_IN_URLS = /[\s\p{Cc}\\]/u;

/** What is wrong with a value that is not of the type, as words after the name of the field; undefined when it is of the type. */
export function findTypeProblem(type: SettingType, value: unknown): string | undefined {
  return isOfType(type, value) ? undefined : `must be ${WANTED[type]}`;
}

/** What is wrong with a value for a setting; undefined when nothing is. The value is never repeated: it may be a secret. */
export function findValueProblem(setting: TemplateSetting, value: unknown): string | undefined {
  const wrongType = findTypeProblem(setting.type, value);
  if (wrongType !== undefined) return wrongType;
  const text = textOf(value as SettingValue); // of one of the types, so it is one
  if (text.includes('\0')) return 'must not hold NUL characters';
  if (!text.isWellFormed()) return 'must be well-formed Unicode';
  if (setting.choices.length > 0 && !setting.choices.includes(text)) {
    return `must be one of: ${setting.choices.join(', ')}`;
  }
  return setting.required && text === '' ? 'must not be empty' : undefined;
}

/** A value as it stands in a URL, an argument, a header or a variable, before any encoding. */
export function textOf(value: SettingValue): string {
  return String(value);
}

/** The value of the type that a text stands for, such as a choice; undefined when it stands for none. */
export function parseValue(type: SettingType, text: string): SettingValue | undefined {
  const value = toValue(type, text);
  return value !== undefined && isOfType(type, value) && textOf(value) === text ? value : undefined;
}

function toValue(type: SettingType, text: string): SettingValue | undefined {
  switch (type) {
    case 'number':
    case 'integer':
      return Number(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    default:
      return text;
  }
}

function isOfType(type: SettingType, value: unknown): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string';
    case 'number':
      return Number.isFinite(value);
    case 'integer':
      return Number.isSafeInteger(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'url':
      return typeof value === 'string' && isHttpUrl(value);
    case 'path':
      return typeof value === 'string' && isAbsolute(value);
  }
}

function isHttpUrl(text: string): boolean {
  return !NOT_IN_URLS.test(text) && /^https?:\/\/[^/?#]/i.test(text) && URL.canParse(text);
}

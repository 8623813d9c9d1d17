import { parseDocument } from 'yaml';
import type { FieldViolation } from '../domain/errors.ts';
import { SETTING_NAMES, type SettingName, type WrittenSetting } from './settings.ts';

/** Keys below `auth:`, as document 002 nests them. */
const AUTH_KEYS: Readonly<Record<string, SettingName>> = {
  enabled: 'auth_enabled',
  secret_key: 'secret_key',
  access_token_expire_minutes: 'access_token_expire_minutes',
};

interface FileEntry {
  readonly name: SettingName | undefined;
  /** As the operator wrote it: `port`, `auth.enabled`. */
  readonly key: string;
  readonly value: unknown;
}

/**
 * Reads the text of gateway.yaml. A broken file, an unknown key, a key given twice and a value of the wrong shape are appended to
 * `violations`; the parser's own message is left out because it quotes the file, which may hold secrets.
 */
export function readSettingsFile(
  path: string,
  text: string,
  violations: FieldViolation[],
): Map<SettingName, WrittenSetting> {
  const settings = new Map<SettingName, WrittenSetting>();
  for (const { name, key, value } of entriesOf(path, text, violations)) {
    const origin = `${key} in ${path}`;
    const written = writtenValue(value);
    if (name === undefined) {
      violations.push({ field: origin, description: 'is not a setting' });
    } else if (settings.has(name)) {
      violations.push({ field: origin, description: `is given twice (also as ${settings.get(name)?.origin})` });
    } else if (written === undefined) {
      violations.push({ field: origin, description: 'must be a text, a number, true, false, or a list of these' });
    } else if (written !== '') {
      settings.set(name, { origin, value: written });
    }
  }
  return settings;
}

function entriesOf(path: string, text: string, violations: FieldViolation[]): FileEntry[] {
  const document = parseDocument(text, { prettyErrors: true, strict: true });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line;
    violations.push({ field: path, description: `is not valid YAML${line === undefined ? '' : ` (line ${line})`}` });
    return [];
  }
  const content: unknown = document.toJS();
  if (content === null || content === undefined) {
    return [];
  }
  if (!isMapping(content)) {
    violations.push({ field: path, description: 'must hold lines of the form `setting: value`' });
    return [];
  }
  return Object.entries(content).flatMap(([key, value]) => flatten(key, value));
}

function flatten(key: string, value: unknown): FileEntry[] {
  if (key === 'auth' && isMapping(value)) {
    return Object.entries(value).map(([inner, innerValue]) => ({
      name: Object.hasOwn(AUTH_KEYS, inner) ? AUTH_KEYS[inner] : undefined,
      key: `auth.${inner}`,
      value: innerValue,
    }));
  }
  return [{ name: SETTING_NAMES.find((name) => name === key), key, value }];
}

/** The value as text; an empty one counts as not set; undefined when it has a shape no setting has. */
function writtenValue(value: unknown): string | readonly string[] | undefined {
  if (value === null) {
    return '';
  }
  if (Array.isArray(value)) {
    const texts = value.map(scalarText);
    return texts.every((text) => text !== undefined) ? texts : undefined;
  }
  return scalarText(value);
}

function scalarText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import type { FieldViolation } from '../domain/errors.ts';
import { BadSetting } from './setting-values.ts';

/** Every setting, as it is called in gateway.yaml; the environment variable is `GATEWAY_` and the name in capitals. */
export const SETTING_NAMES = [
  'host',
  'port',
  'database_url',
  'data_dir',
  'secret_key',
  'previous_secret_keys',
  'auth_enabled',
  'admin_password',
  'bootstrap_api_key',
  'access_token_expire_minutes',
  'public_url',
  'cors_origins',
  'allowed_hosts',
  'tls_cert_file',
  'tls_key_file',
  'max_request_bytes',
  'request_timeout_seconds',
  'upstream_networks',
  'stdio_commands',
  'demo_upstream',
  'max_config_age_seconds',
  'drain_timeout_seconds',
  'log_level',
] as const;

/** One of {@link SETTING_NAMES}. */
export type SettingName = (typeof SETTING_NAMES)[number];

/** A value as it was written, and where, such as `GATEWAY_PORT` or `port in ./gateway.yaml`. */
export interface WrittenSetting {
  readonly origin: string;
  readonly value: string | readonly string[];
}

/** The settings that were written somewhere, by name. */
export type WrittenSettings = ReadonlyMap<SettingName, WrittenSetting>;

/** The environment variable of a setting. */
export function variableOf(name: SettingName): string {
  return `GATEWAY_${name.toUpperCase()}`;
}

/** Reads settings one by one and collects what is wrong with them, so that an operator sees everything at once. */
export interface SettingsReader {
  /** The parsed setting; the fallback when it is not set, or when it is bad, which is then in `violations`. */
  readOne<T>(name: SettingName, parse: (text: string) => T, fallback: T): T;
  /** Like `readOne` for a list: a YAML sequence, or one text with commas. */
  readList<T>(name: SettingName, parse: (text: string) => T, fallback: readonly T[]): readonly T[];
  isSet(name: SettingName): boolean;
  /** Notes that a setting is bad for a reason that needs more than its own value. */
  refuse(name: SettingName, description: string): void;
}

/** Makes a reader that appends to `violations`. */
export function createSettingsReader(written: WrittenSettings, violations: FieldViolation[]): SettingsReader {
  const refuse = (name: SettingName, description: string): void => {
    violations.push({ field: written.get(name)?.origin ?? variableOf(name), description });
  };
  const attempt = <T>(name: SettingName, parse: () => T, fallback: T): T => {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof BadSetting)) {
        throw error;
      }
      refuse(name, error.message);
      return fallback;
    }
  };
  return {
    refuse,
    isSet: (name) => written.has(name),
    readOne(name, parse, fallback) {
      const setting = written.get(name);
      return setting === undefined ? fallback : attempt(name, () => parse(oneText(setting.value)), fallback);
    },
    readList(name, parse, fallback) {
      const setting = written.get(name);
      return setting === undefined ? fallback : attempt(name, () => listTexts(setting.value).map(parse), fallback);
    },
  };
}

function oneText(value: WrittenSetting['value']): string {
  if (typeof value !== 'string') {
    throw new BadSetting('must be one value, not a list');
  }
  return value;
}

function listTexts(value: WrittenSetting['value']): readonly string[] {
  const texts = typeof value === 'string' ? value.split(',') : value;
  return texts.map((text) => text.trim()).filter((text) => text !== '');
}

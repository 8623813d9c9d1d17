import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { bodyOfApiKey, isWellFormedApiKey } from './api-key-form.ts';
import { type DatabaseConfig, LOG_LEVELS, type LogLevel } from './config.ts';
import { createSecret, type Secret } from './secret.ts';
import { findPasswordProblem, findSecretKeyProblem, findWeakness } from './secret-strength.ts';

/** A setting's value breaks a rule. The message says which, and never repeats the value: it may be a secret in the wrong place. */
export class BadSetting extends Error {
  override readonly name = 'BadSetting';
}

const TRUTH: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
};

/** `true` or `false`, also `yes`, `no`, `on`, `off`, `1`, `0`. */
export function parseBoolean(text: string): boolean {
  const value = TRUTH[text.toLowerCase()];
  if (value === undefined) {
    throw new BadSetting('must be true or false');
  }
  return value;
}

/** Makes a parser of whole numbers within the bounds. */
export function parseWhole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new BadSetting(`must be a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** Seconds, whole or with a fraction, from 0.1 to 3600; gives milliseconds. */
export function parseSeconds(text: string): number {
  const milliseconds = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : Number.NaN;
  if (!(milliseconds >= 100 && milliseconds <= 3_600_000)) {
    throw new BadSetting('must be a number of seconds from 0.1 to 3600');
  }
  return milliseconds;
}

/** A host name or IP address; brackets around an IPv6 address are taken off, letters made small. */
export function parseHost(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (isIP(host) === 0 && !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(host)) {
    throw new BadSetting('must be a host name or an IP address, without scheme and port');
  }
  return host;
}

/** A host as {@link parseHost} reads it, or `*` for any. */
export function parseAllowedHost(text: string): string {
  return text === '*' ? text : parseHost(text);
}

/** `memory://` or a `postgres://` URL. */
export function parseDatabaseUrl(text: string): DatabaseConfig {
  if (text === 'memory://') {
    return { kind: 'memory' };
  }
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) {
    return { kind: 'postgres', url: text };
  }
  throw new BadSetting(
    'must be memory:// or postgres://user:password@host/database; leave it unset for the embedded database in GATEWAY_DATA_DIR',
  );
}

/** A folder; relative to the working directory. */
export function parseFolder(text: string): string {
  return resolve(text);
}

/** The key that encrypts secrets at rest. */
export function parseSecretKey(text: string): Secret {
  return strong(text, findSecretKeyProblem(text));
}

/** A user's password. */
export function parsePassword(text: string): Secret {
  return strong(text, findPasswordProblem(text));
}

/** An API key in the gateway's own form that nobody can guess. */
export function parseBootstrapApiKey(text: string): Secret {
  if (!isWellFormedApiKey(text)) {
    throw new BadSetting(
      'must be an API key: pc_, 43 random letters or digits, and their checksum of 6; make one with `npm run make-api-key`',
    );
  }
  const weakness = findWeakness(bodyOfApiKey(text));
  return strong(text, weakness && `is too easy to guess: ${weakness}; make one with \`npm run make-api-key\``);
}

/** An http or https URL, perhaps with a path, without a slash at the end. */
export function parsePublicUrl(text: string): string {
  const url = URL.parse(text);
  const isPlain = url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    throw new BadSetting('must be an http or https URL without user, query and fragment');
  }
  return url.href.replace(/\/+$/, '');
}

/** An origin as browsers send it, or `*`. */
export function parseOrigin(text: string): string {
  if (text !== '*' && (!/^https?:\/\//.test(text) || !URL.canParse(text) || new URL(text).origin !== text)) {
    throw new BadSetting(
      'each must be an origin such as https://console.example.com (no path, no slash at the end) or *',
    );
  }
  return text;
}

/** A CIDR, or one of the words `loopback` and `private`. */
export function parseNetwork(text: string): string {
  const [address = '', length = '', ...rest] = text.split('/');
  const maxLength = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  const isCidr = rest.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= maxLength;
  if (text !== 'loopback' && text !== 'private' && !isCidr) {
    throw new BadSetting('each must be a network such as 10.0.0.0/8, or the word loopback or private');
  }
  return text;
}

/** Any text. */
export function parseText(text: string): string {
  return text;
}

/** One of pino's level names, or `silent`. */
export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text.toLowerCase());
  if (level === undefined) {
    throw new BadSetting(`must be one of ${LOG_LEVELS.join(', ')}`);
  }
  return level;
}

function strong(text: string, problem: string | undefined): Secret {
  if (problem !== undefined) {
    throw new BadSetting(problem);
  }
  return createSecret(text);
}

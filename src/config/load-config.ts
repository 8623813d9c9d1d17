import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type FieldViolation, GatewayError } from '../domain/errors.ts';
import { type Config, type DatabaseConfig, DEMO_COMMAND, type TlsConfig } from './config.ts';
import { isLoopbackHost, LOOPBACK_NAMES } from './loopback.ts';
import { createSecret, type Secret } from './secret.ts';
import { keepSecretKeyInFile, secretKeyFileIn } from './secret-key-file.ts';
import * as values from './setting-values.ts';
import {
  createSettingsReader,
  SETTING_NAMES,
  type SettingsReader,
  variableOf,
  type WrittenSettings,
} from './settings.ts';
import { readSettingsFile } from './settings-file.ts';

/** The environment variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The text of a file, or undefined when there is none; throws the file system's error when it cannot be read. */
export type ReadFile = (path: string) => string | undefined;

const DEFAULT_FILE = './gateway.yaml';

/**
 * Makes the configuration from the environment and the settings file that `GATEWAY_CONFIG` names (`./gateway.yaml` when it exists); the
 * environment wins, and an empty variable counts as not set. Throws `validation_failed` with every bad setting as a violation. The
 * embedded database without a secret key gets one from `keepSecretKey`, asked only when everything else is right.
 */
export function loadConfig(
  env: Environment,
  readFile: ReadFile = readTextFile,
  keepSecretKey: (dataDir: string) => string = keepSecretKeyInFile,
): Config {
  const violations: FieldViolation[] = [];
  const settings = createSettingsReader(readSettings(env, readFile, violations), violations);
  const { secretKey, ...config } = readConfig(settings, readFile);
  if (violations.length > 0) {
    throw new GatewayError('validation_failed', describe(violations), { violations });
  }
  return Object.freeze({
    ...config,
    secretKey: secretKey ?? makeSecretKey(config.database, keepSecretKey),
  });
}

function describe(violations: readonly FieldViolation[]): string {
  const lines = violations.map(({ field, description }) => `\n  ${field} ${description}`);
  return `The configuration has ${violations.length === 1 ? 'a bad setting' : `${violations.length} bad settings`}:${lines.join('')}`;
}

function readSettings(env: Environment, readFile: ReadFile, violations: FieldViolation[]): WrittenSettings {
  const path = env.GATEWAY_CONFIG || DEFAULT_FILE;
  const text = tryRead(readFile, path);
  if (text === 'unreadable' || (text === undefined && env.GATEWAY_CONFIG)) {
    violations.push({ field: 'GATEWAY_CONFIG', description: `names the file ${path}, which cannot be read` });
  }
  const settings = readSettingsFile(path, typeof text === 'object' ? text.text : '', violations);
  for (const name of SETTING_NAMES) {
    const value = env[variableOf(name)];
    if (value !== undefined && value !== '') {
      settings.set(name, { origin: variableOf(name), value });
    }
  }
  return settings;
}

type UncheckedConfig = Omit<Config, 'secretKey'> & { readonly secretKey: Secret | undefined };

function readConfig(settings: SettingsReader, readFile: ReadFile): UncheckedConfig {
  const { readOne, readList } = settings;
  const host = readOne('host', values.parseHost, '127.0.0.1');
  const database = readDatabase(settings);
  const demoUpstream = readOne('demo_upstream', values.parseBoolean, database.kind !== 'postgres');
  const tls = readTls(settings, readFile);
  const adminPassword = readOne('admin_password', values.parsePassword, undefined);
  const bootstrapApiKey = readOne('bootstrap_api_key', values.parseBootstrapApiKey, undefined);
  const publicUrl = readOne('public_url', values.parsePublicUrl, undefined);
  return {
    host,
    port: readOne('port', values.parseWhole(0, 65_535), 8000),
    database,
    ...readSecretKeys(settings, database, readFile),
    authEnabled: readAuthEnabled(settings, host),
    ...(adminPassword && { adminPassword }),
    ...(bootstrapApiKey && { bootstrapApiKey }),
    accessTokenMinutes: readOne('access_token_expire_minutes', values.parseWhole(1, 1440), 60),
    ...(publicUrl && { publicUrl }),
    corsOrigins: Object.freeze(readList('cors_origins', values.parseOrigin, [])),
    allowedHosts: Object.freeze(readList('allowed_hosts', values.parseAllowedHost, defaultAllowedHosts(host))),
    ...(tls && { tls }),
    maxRequestBytes: readOne('max_request_bytes', values.parseWhole(1024, 64 * 1024 * 1024), 1024 * 1024),
    requestTimeoutMs: readOne('request_timeout_seconds', values.parseSeconds, 15_000),
    upstreamNetworks: Object.freeze(readList('upstream_networks', values.parseNetwork, [])),
    stdioCommands: readStdioCommands(settings, demoUpstream),
    demoUpstream,
    maxConfigAgeMs: readOne('max_config_age_seconds', values.parseSeconds, 10_000),
    drainTimeoutMs: readOne('drain_timeout_seconds', values.parseSeconds, 10_000),
    logLevel: readOne('log_level', values.parseLogLevel, 'info'),
  };
}

function readDatabase(settings: SettingsReader): DatabaseConfig {
  const dataDir = settings.readOne('data_dir', values.parseFolder, resolve('data'));
  return Object.freeze(settings.readOne('database_url', values.parseDatabaseUrl, { kind: 'sqlite', dataDir }));
}

function readSecretKeys(settings: SettingsReader, database: DatabaseConfig, readFile: ReadFile) {
  const secretKey = settings.readOne('secret_key', values.parseSecretKey, undefined);
  const previous = settings.readList('previous_secret_keys', values.parseSecretKey, []);
  if (!settings.isSet('secret_key') && database.kind === 'postgres') {
    settings.refuse(
      'secret_key',
      'must be set with PostgreSQL, to the same text on every replica; make one with `openssl rand -base64 32`',
    );
  }
  // An operator who sets a key later keeps access to what the made-up one sealed.
  const kept =
    secretKey && database.kind === 'sqlite' ? tryRead(readFile, secretKeyFileIn(database.dataDir)) : undefined;
  const keptKeys = typeof kept === 'object' ? [createSecret(kept.text.trim())] : [];
  return { secretKey, previousSecretKeys: Object.freeze([...previous, ...keptKeys]) };
}

function readAuthEnabled(settings: SettingsReader, host: string): boolean {
  const authEnabled = settings.readOne('auth_enabled', values.parseBoolean, true);
  if (!authEnabled && !isLoopbackHost(host)) {
    settings.refuse('auth_enabled', 'can be false only while GATEWAY_HOST is a loopback address such as 127.0.0.1');
  }
  return authEnabled;
}

function readTls(settings: SettingsReader, readFile: ReadFile): TlsConfig | undefined {
  const readPath = (name: 'tls_cert_file' | 'tls_key_file', other: 'tls_cert_file' | 'tls_key_file') => {
    const path = settings.readOne(name, values.parseText, undefined);
    if (path !== undefined && typeof tryRead(readFile, path) !== 'object') {
      settings.refuse(name, 'names a file that cannot be read');
    } else if (path === undefined && settings.isSet(other)) {
      settings.refuse(name, `must be set together with ${variableOf(other)}`);
    }
    return path;
  };
  const certFile = readPath('tls_cert_file', 'tls_key_file');
  const keyFile = readPath('tls_key_file', 'tls_cert_file');
  return certFile && keyFile ? Object.freeze({ certFile, keyFile }) : undefined;
}

function readStdioCommands(settings: SettingsReader, demoUpstream: boolean): readonly string[] {
  const commands = settings.readList('stdio_commands', values.parseText, []);
  return Object.freeze(demoUpstream ? [...new Set([...commands, DEMO_COMMAND])] : commands);
}

/** A wildcard address is no name; whoever binds one says which names lead to it. */
function defaultAllowedHosts(host: string): readonly string[] {
  return [...new Set([...LOOPBACK_NAMES, ...(host === '0.0.0.0' || host === '::' ? [] : [host])])];
}

function makeSecretKey(database: DatabaseConfig, keepSecretKey: (dataDir: string) => string): Secret {
  if (database.kind !== 'sqlite') {
    return createSecret(randomBytes(32).toString('base64url'));
  }
  try {
    return values.parseSecretKey(keepSecretKey(database.dataDir));
  } catch (cause) {
    const description = `names the folder ${database.dataDir}, where no secret key can be kept in ${secretKeyFileIn(database.dataDir)}`;
    const violations = [{ field: variableOf('data_dir'), description }];
    throw new GatewayError('validation_failed', describe(violations), { violations, cause });
  }
}

function tryRead(readFile: ReadFile, path: string): { readonly text: string } | 'unreadable' | undefined {
  try {
    const text = readFile(path);
    return text === undefined ? undefined : { text };
  } catch {
    return 'unreadable';
  }
}

function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createApiKey } from '../../src/authn/api-key.ts';
import { type Environment, loadConfig } from '../../src/config/load-config.ts';
import { GatewayError } from '../../src/domain/errors.ts';

const STRONG_KEY = 'T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe';
const OTHER_KEY = 'b3ViaGVyLWtleS1vZi1hLXJlcGxpY2E6';
const WELL_FORMED_KEY = 'pc_Zk3vQ9sLx7Tb1RfYd5Wm0NcHg8JpUa4EiSo6KtVzXyB3d2V4O';

function load(env: Environment, files: Readonly<Record<string, string>> = {}) {
  return loadConfig(
    env,
    (path) => files[path],
    () => STRONG_KEY,
  );
}

function throwing(error: Error): never {
  throw error;
}

function refusalOf(env: Environment, files: Readonly<Record<string, string>> = {}): GatewayError {
  try {
    load(env, files);
  } catch (error) {
    if (error instanceof GatewayError) {
      return error;
    }
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('defaults', () => {
  it('listen on loopback with the embedded database, authentication and the demo', () => {
    const { secretKey, ...config } = load({ GATEWAY_DATA_DIR: '/var/lib/portcullis' });
    expect(config).toStrictEqual({
      host: '127.0.0.1',
      port: 8000,
      database: { kind: 'sqlite', dataDir: '/var/lib/portcullis' },
      previousSecretKeys: [],
      authEnabled: true,
      accessTokenMinutes: 60,
      corsOrigins: [],
      allowedHosts: ['localhost', '127.0.0.1', '::1'],
      maxRequestBytes: 1_048_576,
      requestTimeoutMs: 15_000,
      upstreamNetworks: [],
      stdioCommands: ['mcp-server-everything'],
      demoUpstream: true,
      maxConfigAgeMs: 10_000,
      drainTimeoutMs: 10_000,
      logLevel: 'info',
    });
    expect(secretKey.reveal()).toBe(STRONG_KEY);
  });

  it('leave the demo and its command out with PostgreSQL', () => {
    const config = load({ GATEWAY_DATABASE_URL: 'postgres://u:p@db/portcullis', GATEWAY_SECRET_KEY: STRONG_KEY });
    expect(config.demoUpstream).toBe(false);
    expect(config.stdioCommands).toStrictEqual([]);
    expect(config.database).toStrictEqual({ kind: 'postgres', url: 'postgres://u:p@db/portcullis' });
  });

  it('make up another secret key for every start in memory', () => {
    const first = load({ GATEWAY_DATABASE_URL: 'memory://' }).secretKey.reveal();
    const second = load({ GATEWAY_DATABASE_URL: 'memory://' }).secretKey.reveal();
    expect(first).toHaveLength(43);
    expect(second).not.toBe(first);
  });
});

describe('sources', () => {
  it('are every environment variable', () => {
    const env = {
      GATEWAY_HOST: '[::1]',
      GATEWAY_PORT: '0',
      GATEWAY_DATABASE_URL: 'postgresql://db/portcullis',
      GATEWAY_SECRET_KEY: STRONG_KEY,
      GATEWAY_PREVIOUS_SECRET_KEYS: `${OTHER_KEY},`,
      GATEWAY_AUTH_ENABLED: 'False',
      GATEWAY_ADMIN_PASSWORD: 'correct horse',
      GATEWAY_BOOTSTRAP_API_KEY: WELL_FORMED_KEY,
      GATEWAY_ACCESS_TOKEN_EXPIRE_MINUTES: '5',
      GATEWAY_CORS_ORIGINS: 'http://localhost:3000, https://console.example.com',
      GATEWAY_ALLOWED_HOSTS: 'Gateway.internal,[::1]',
      GATEWAY_TLS_CERT_FILE: '/tls/cert.pem',
      GATEWAY_TLS_KEY_FILE: '/tls/key.pem',
      GATEWAY_MAX_REQUEST_BYTES: '2048',
      GATEWAY_REQUEST_TIMEOUT_SECONDS: '0.5',
      GATEWAY_UPSTREAM_NETWORKS: 'loopback,10.1.0.0/16,fd00::/8',
      GATEWAY_STDIO_COMMANDS: 'mcp-server-memory',
      GATEWAY_DEMO_UPSTREAM: 'yes',
      GATEWAY_MAX_CONFIG_AGE_SECONDS: '3',
      GATEWAY_DRAIN_TIMEOUT_SECONDS: '20',
      GATEWAY_LOG_LEVEL: 'WARN',
    };
    const files = { '/tls/cert.pem': 'certificate', '/tls/key.pem': 'key' };
    const { secretKey, previousSecretKeys, adminPassword, bootstrapApiKey, ...config } = load(env, files);
    expect(config).toStrictEqual({
      host: '::1',
      port: 0,
      database: { kind: 'postgres', url: 'postgresql://db/portcullis' },
      authEnabled: false,
      accessTokenMinutes: 5,
      corsOrigins: ['http://localhost:3000', 'https://console.example.com'],
      allowedHosts: ['gateway.internal', '::1'],
      tls: { certFile: '/tls/cert.pem', keyFile: '/tls/key.pem' },
      maxRequestBytes: 2048,
      requestTimeoutMs: 500,
      upstreamNetworks: ['loopback', '10.1.0.0/16', 'fd00::/8'],
      stdioCommands: ['mcp-server-memory', 'mcp-server-everything'],
      demoUpstream: true,
      maxConfigAgeMs: 3000,
      drainTimeoutMs: 20_000,
      logLevel: 'warn',
    });
    expect(secretKey.reveal()).toBe(STRONG_KEY);
    expect(previousSecretKeys.map((key) => key.reveal())).toStrictEqual([OTHER_KEY]);
    expect(adminPassword?.reveal()).toBe('correct horse');
    expect(bootstrapApiKey?.reveal()).toBe(WELL_FORMED_KEY);
  });

  it("are gateway.yaml in document 002's form, below the environment", () => {
    const yaml = `
host: "0.0.0.0"
port: 8000
database_url: "postgresql://user:pass@localhost/gateway"
auth:
  enabled: true
  secret_key: "${STRONG_KEY}"
  access_token_expire_minutes: 30
cors_origins:
  - "http://localhost:3000"
  - "https://your-frontend.com"
`;
    const config = load({ GATEWAY_PORT: '9000' }, { './gateway.yaml': yaml });
    expect(config).toMatchObject({
      host: '0.0.0.0',
      port: 9000,
      database: { kind: 'postgres', url: 'postgresql://user:pass@localhost/gateway' },
      authEnabled: true,
      accessTokenMinutes: 30,
      corsOrigins: ['http://localhost:3000', 'https://your-frontend.com'],
      allowedHosts: ['localhost', '127.0.0.1', '::1'],
    });
    expect(config.secretKey.reveal()).toBe(STRONG_KEY);
  });

  it('can be a file named by GATEWAY_CONFIG', () => {
    const config = load({ GATEWAY_CONFIG: '/etc/portcullis.yaml' }, { '/etc/portcullis.yaml': 'port: 8001' });
    expect(config.port).toBe(8001);
  });

  it('count an empty variable and an empty key as not set', () => {
    const config = load({ GATEWAY_PORT: '' }, { './gateway.yaml': 'log_level:\nhost: ""\n' });
    expect([config.port, config.logLevel, config.host]).toStrictEqual([8000, 'info', '127.0.0.1']);
  });

  it('keep the made-up key of the data folder as a previous one when an operator sets another', () => {
    const config = load(
      { GATEWAY_SECRET_KEY: STRONG_KEY, GATEWAY_DATA_DIR: '/data' },
      { '/data/secret.key': `${OTHER_KEY}\n` },
    );
    expect(config.previousSecretKeys.map((key) => key.reveal())).toStrictEqual([OTHER_KEY]);
  });
});

describe('bad settings', () => {
  it('are all listed in one message', () => {
    const error = refusalOf(
      {
        GATEWAY_HOST: 'http://x',
        GATEWAY_PORT: 'tcp://10.0.0.1:8000',
        GATEWAY_DATABASE_URL: 'mysql://root@db/x',
        GATEWAY_SECRET_KEY: 'short',
        GATEWAY_PREVIOUS_SECRET_KEYS: 'short',
        GATEWAY_AUTH_ENABLED: 'perhaps',
        GATEWAY_ADMIN_PASSWORD: '1234567',
        GATEWAY_BOOTSTRAP_API_KEY: 'pc_abc',
        GATEWAY_ACCESS_TOKEN_EXPIRE_MINUTES: '0',
        GATEWAY_CORS_ORIGINS: 'https://console.example.com/',
        GATEWAY_ALLOWED_HOSTS: 'gateway:8000',
        GATEWAY_TLS_CERT_FILE: '/missing.pem',
        GATEWAY_MAX_REQUEST_BYTES: '1e9',
        GATEWAY_REQUEST_TIMEOUT_SECONDS: '-1',
        GATEWAY_UPSTREAM_NETWORKS: '10.0.0.0/33',
        GATEWAY_DEMO_UPSTREAM: '2',
        GATEWAY_MAX_CONFIG_AGE_SECONDS: '0',
        GATEWAY_DRAIN_TIMEOUT_SECONDS: '3601',
        GATEWAY_LOG_LEVEL: 'loud',
      },
      { './gateway.yaml': 'prot: 1\nstdio_commands: {a: 1}\n' },
    );
    expect(error.reason).toBe('validation_failed');
    expect(error.violations.map((violation) => violation.field).sort()).toStrictEqual([
      'GATEWAY_ACCESS_TOKEN_EXPIRE_MINUTES',
      'GATEWAY_ADMIN_PASSWORD',
      'GATEWAY_ALLOWED_HOSTS',
      'GATEWAY_AUTH_ENABLED',
      'GATEWAY_BOOTSTRAP_API_KEY',
      'GATEWAY_CORS_ORIGINS',
      'GATEWAY_DATABASE_URL',
      'GATEWAY_DEMO_UPSTREAM',
      'GATEWAY_DRAIN_TIMEOUT_SECONDS',
      'GATEWAY_HOST',
      'GATEWAY_LOG_LEVEL',
      'GATEWAY_MAX_CONFIG_AGE_SECONDS',
      'GATEWAY_MAX_REQUEST_BYTES',
      'GATEWAY_PORT',
      'GATEWAY_PREVIOUS_SECRET_KEYS',
      'GATEWAY_REQUEST_TIMEOUT_SECONDS',
      'GATEWAY_SECRET_KEY',
      'GATEWAY_TLS_CERT_FILE',
      'GATEWAY_TLS_KEY_FILE',
      'GATEWAY_UPSTREAM_NETWORKS',
      'prot in ./gateway.yaml',
      'stdio_commands in ./gateway.yaml',
    ]);
    expect(error.message.split('\n')).toHaveLength(23);
    expect(error.message).toContain('The configuration has 22 bad settings:');
    expect(error.message).toContain('\n  GATEWAY_PORT must be a whole number from 0 to 65535');
  });

  it('are never quoted, whatever secret stands in the wrong place', () => {
    const secret = 'hunter2hunter2';
    const error = refusalOf(
      {
        GATEWAY_HOST: `${secret}!`,
        GATEWAY_PORT: secret,
        GATEWAY_DATABASE_URL: `mysql://root:${secret}@db`,
        GATEWAY_SECRET_KEY: secret,
        GATEWAY_BOOTSTRAP_API_KEY: secret,
        GATEWAY_CORS_ORIGINS: secret,
        GATEWAY_TLS_CERT_FILE: secret,
        GATEWAY_UPSTREAM_NETWORKS: secret,
        GATEWAY_LOG_LEVEL: secret,
      },
      { './gateway.yaml': `admin_password: [{"${secret}": 1}]` },
    );
    expect(inspect(error, { depth: 9 })).not.toContain(secret);
  });

  it.each([
    ['one character', 'pc_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa4SHDYg'],
    ['a repeated pair', 'pc_abababababababababababababababababababababa05FkSG'],
    ['an ascending sequence', 'pc_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ4FLuWK'],
  ])('include a first API key that is %s, though its checksum fits', (_name, key) => {
    const error = refusalOf({ GATEWAY_BOOTSTRAP_API_KEY: key });
    expect(error.message).toContain('GATEWAY_BOOTSTRAP_API_KEY is too easy to guess');
    expect(inspect(error, { depth: 9 })).not.toContain(key.slice(3, -6));
  });

  it('do not include a first API key that the gateway could have made', () => {
    for (let round = 0; round < 200; round++) {
      const key = createApiKey();
      expect(load({ GATEWAY_BOOTSTRAP_API_KEY: key }).bootstrapApiKey?.reveal()).toBe(key);
    }
  });

  it('include a file that is no YAML, named by its line and not quoted', () => {
    const error = refusalOf({}, { './gateway.yaml': 'port: 1\nadmin_password: "hunter2hunter2\n' });
    expect(error.message).toMatch(
      /^The configuration has a bad setting:\n {2}\.\/gateway\.yaml is not valid YAML \(line \d\)$/,
    );
    expect(inspect(error, { depth: 9 })).not.toContain('hunter2');
  });

  it.each(['- a\n- b\n', 'just text'])('include a file without settings: %j', (yaml) => {
    expect(refusalOf({}, { './gateway.yaml': yaml }).message).toContain('must hold lines of the form `setting: value`');
  });

  it('include a setting that the file gives twice', () => {
    const yaml = 'auth_enabled: true\nauth: {enabled: false}\n';
    expect(refusalOf({}, { './gateway.yaml': yaml }).message).toContain(
      'auth.enabled in ./gateway.yaml is given twice (also as auth_enabled in ./gateway.yaml)',
    );
  });

  it('include a file that was named and is not there', () => {
    expect(refusalOf({ GATEWAY_CONFIG: './x.yaml' }).message).toContain(
      'GATEWAY_CONFIG names the file ./x.yaml, which cannot be read',
    );
  });

  it('include switched-off authentication on an address that others reach', () => {
    const env = { GATEWAY_AUTH_ENABLED: 'false', GATEWAY_HOST: '0.0.0.0' };
    expect(refusalOf(env).message).toContain(
      'GATEWAY_AUTH_ENABLED can be false only while GATEWAY_HOST is a loopback address',
    );
    expect(load({ ...env, GATEWAY_HOST: '127.8.0.1' }).authEnabled).toBe(false);
    expect(load({ ...env, GATEWAY_HOST: 'localhost' }).authEnabled).toBe(false);
  });

  it('include PostgreSQL without a secret key, because replicas must share one', () => {
    expect(refusalOf({ GATEWAY_DATABASE_URL: 'postgres://db/x' }).message).toContain(
      'GATEWAY_SECRET_KEY must be set with PostgreSQL',
    );
  });

  it('leave the data folder alone', () => {
    const keepSecretKey = () => {
      throw new Error('touched');
    };
    expect(() => loadConfig({ GATEWAY_PORT: 'x' }, () => undefined, keepSecretKey)).toThrow('GATEWAY_PORT');
  });
});

describe('a data folder', () => {
  it.each([
    ['cannot be written', () => throwing(new Error('EACCES'))],
    ['holds an empty key file', () => ''],
  ])('that %s is a bad setting', (_name, keepSecretKey) => {
    expect(() => loadConfig({ GATEWAY_DATA_DIR: '/data' }, () => undefined, keepSecretKey)).toThrow(
      'GATEWAY_DATA_DIR names the folder /data, where no secret key can be kept in /data/secret.key',
    );
  });
});

describe('the configuration', () => {
  it('is frozen', () => {
    const config = load({ GATEWAY_SECRET_KEY: STRONG_KEY });
    for (const part of [config, config.database, config.corsOrigins, config.allowedHosts, config.previousSecretKeys]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('prints without its secrets', () => {
    const config = load({ GATEWAY_SECRET_KEY: STRONG_KEY, GATEWAY_ADMIN_PASSWORD: 'correct horse' });
    const printed = `${inspect(config, { depth: 9 })}${JSON.stringify(config)}${String(config.secretKey)}`;
    expect(printed).not.toContain(STRONG_KEY);
    expect(printed).not.toContain('correct horse');
    expect(printed).toContain('[secret]');
  });
});

import type { Secret } from './secret.ts';

/** Where the gateway keeps its data. */
export type DatabaseConfig =
  /** A file in `dataDir`, an absolute path. */
  | { readonly kind: 'sqlite'; readonly dataDir: string }
  /** Gone when the process ends. */
  | { readonly kind: 'memory' }
  /** `url` may hold a password: never print it. */
  | { readonly kind: 'postgres'; readonly url: string };

/** The command of the demo upstream; allowed while the demo is on. */
export const DEMO_COMMAND = 'mcp-server-everything';

/** What may be logged, from everything to nothing (the levels of pino). */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** One of {@link LOG_LEVELS}: that and what is graver is logged. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** PEM files of the certificate (with its chain) and of its private key. */
export interface TlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Everything an operator can set, checked and frozen; made by `loadConfig`, the only reader of the environment. */
export interface Config {
  /** Address to listen on, without brackets and port. */
  readonly host: string;
  /** 0 = a free port. */
  readonly port: number;
  readonly database: DatabaseConfig;
  /** Encrypts what is secret in the database, and the session and page tokens. */
  readonly secretKey: Secret;
  /** Keys that still open what was sealed before `secretKey` was changed. */
  readonly previousSecretKeys: readonly Secret[];
  /** False = every request is the anonymous administrator; only on a loopback address. */
  readonly authEnabled: boolean;
  /** Password of the user `admin`, used at the first start only. */
  readonly adminPassword?: Secret;
  /** Text of the first API key, used at the first start only. */
  readonly bootstrapApiKey?: Secret;
  readonly accessTokenMinutes: number;
  /** Where people reach the gateway, without a slash at the end; absent = the address it listens on. */
  readonly publicUrl?: string;
  /** Exact origins, or `*`. */
  readonly corsOrigins: readonly string[];
  /** Names that the Host header may carry, lower case, without port and brackets, or `*`. */
  readonly allowedHosts: readonly string[];
  readonly tls?: TlsConfig;
  readonly maxRequestBytes: number;
  /** Time to receive one whole request. */
  readonly requestTimeoutMs: number;
  /** CIDRs, `loopback` or `private`: addresses beyond public ones that upstream URLs may reach. */
  readonly upstreamNetworks: readonly string[];
  /** Commands that STDIO upstreams may run, by exact text. */
  readonly stdioCommands: readonly string[];
  /** Create the upstream `everything` when there is no upstream at all. */
  readonly demoUpstream: boolean;
  /** A replica that could not read the store for longer refuses calls. */
  readonly maxConfigAgeMs: number;
  /** How long a shutdown waits for calls that run. */
  readonly drainTimeoutMs: number;
  readonly logLevel: LogLevel;
}

import type { FieldViolation } from '../domain/errors.ts';
import type { Transport } from '../domain/upstream.ts';
import type { MergedSecrets } from './upstream-secrets.ts';

/** Headers that HTTP, MCP or the gateway itself sets; a configured one would break or forge an exchange. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'last-event-id',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const RESERVED_HEADER_PREFIXES = ['mcp-', 'proxy-'];

/**
 * Variables that make a program, its runtime or its loader run other code, so that an allowed command would become any command.
 * Compared in upper case.
 */
const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  '_JAVA_OPTIONS',
  'BASH_ENV',
  'CLASSPATH',
  'ENV',
  'GCONV_PATH',
  'IFS',
  'JAVA_TOOL_OPTIONS',
  'JDK_JAVA_OPTIONS',
  'OPENSSL_CONF',
  'PATH',
  'PS4',
  'SHELLOPTS',
]);

const RESERVED_VARIABLE_PREFIXES = [
  'BUN_',
  'DENO_',
  'DOTNET_',
  'DYLD_',
  'GIT_',
  'LD_',
  'NODE_',
  'NPM_CONFIG_',
  'PERL5',
  'PIP_',
  'PYTHON',
  'RUBY',
  'UV_',
];

/** Variables that a reserved prefix covers but that only change how a program reads or prints. */
const HARMLESS_VARIABLES: ReadonlySet<string> = new Set([
  'NODE_ENV',
  'NODE_EXTRA_CA_CERTS',
  'NODE_NO_WARNINGS',
  'PYTHONIOENCODING',
  'PYTHONUNBUFFERED',
  'PYTHONUTF8',
]);

/** What is wrong with the authentication, headers and environment of an upstream with this transport. */
export function findViolations(transport: Transport, merged: MergedSecrets): FieldViolation[] {
  const headers = Object.keys(merged.secrets.headers ?? {});
  const env = Object.keys(merged.secrets.env ?? {});
  const violations = [...merged.violations];
  if (transport.kind === 'stdio') {
    if (merged.auth.kind !== 'none') {
      violations.push({ field: 'auth', description: 'is not for STDIO upstreams; use env' });
    }
    if (headers.length > 0) {
      violations.push({ field: 'headers', description: 'are not for STDIO upstreams; use env' });
    }
  } else if (env.length > 0) {
    violations.push({ field: 'env', description: 'is for STDIO upstreams only; use headers' });
  }
  return [...violations, ...headers.flatMap((name) => checkHeader(name, merged)), ...env.flatMap(checkVariable)];
}

function checkHeader(name: string, merged: MergedSecrets): FieldViolation[] {
  if (RESERVED_HEADERS.has(name) || RESERVED_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix))) {
    return [{ field: 'headers', description: `"${name}" belongs to HTTP or MCP and cannot be set` }];
  }
  if (name === 'authorization' && merged.auth.kind !== 'none') {
    return [{ field: 'headers', description: '"authorization" cannot be set together with auth' }];
  }
  return [];
}

function checkVariable(name: string): FieldViolation[] {
  const upper = name.toUpperCase();
  const reserved =
    RESERVED_VARIABLES.has(upper) || RESERVED_VARIABLE_PREFIXES.some((prefix) => upper.startsWith(prefix));
  return reserved && !HARMLESS_VARIABLES.has(upper)
    ? [{ field: 'env', description: `"${name}" can change what the command runs and cannot be set` }]
    : [];
}

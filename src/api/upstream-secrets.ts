import type { UpstreamAuth as AuthMessage } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { FieldViolation } from '../domain/errors.ts';
import type { Transport, UpstreamAuth, UpstreamSecrets } from '../domain/upstream.ts';

/** The parts of a request that hold secrets; undefined = left as it is stored. */
export interface SecretChanges {
  readonly auth?: AuthMessage | undefined;
  readonly headers?: readonly NamedValue[] | undefined;
  readonly env?: readonly NamedValue[] | undefined;
}

/** A header or environment variable; without a value, the stored one is meant. */
interface NamedValue {
  readonly name: string;
  readonly value?: string | undefined;
}

/** How the gateway authenticates, with its secrets in the clear; lives only while a request is handled. */
export interface OpenedSecrets {
  readonly auth: UpstreamAuth;
  readonly secrets: UpstreamSecrets;
}

/** What a request makes of the stored secrets. */
export interface MergedSecrets extends OpenedSecrets {
  /** Paths of fields whose stored secret stays. */
  readonly kept: readonly string[];
  /** Secrets that the request neither gives nor can take from what is stored. */
  readonly violations: readonly FieldViolation[];
}

const NOTHING: OpenedSecrets = { auth: { kind: 'none' }, secrets: {} };

/** Applies a request to what is stored; for a creation nothing is. */
export function mergeSecrets(changes: SecretChanges, stored: OpenedSecrets = NOTHING): MergedSecrets {
  const merge: Merge = { kept: [], violations: [] };
  const { auth, ...authSecrets } = mergeAuth(changes.auth, stored, merge);
  const headers = mergeValues('headers', lowerCase(changes.headers), stored.secrets.headers, merge);
  const env = mergeValues('env', changes.env, stored.secrets.env, merge);
  return { auth, secrets: { ...authSecrets, headers, env }, ...merge };
}

/** True when what the gateway sends would go to another place than before, where stored secrets must not follow. */
export function isOtherDestination(old: Transport, changed: Transport): boolean {
  if (old.kind === 'stdio' || changed.kind === 'stdio') {
    return destinationOf(old) !== destinationOf(changed);
  }
  return old.kind !== changed.kind || new URL(old.url).origin !== new URL(changed.url).origin;
}

interface Merge {
  readonly kept: string[];
  readonly violations: FieldViolation[];
}

type MergedAuth = Pick<UpstreamSecrets, 'bearerToken' | 'basicPassword'> & { readonly auth: UpstreamAuth };

function destinationOf(transport: Transport): string {
  return transport.kind === 'stdio'
    ? JSON.stringify([transport.command, transport.args, transport.workingDirectory])
    : transport.url;
}

function mergeAuth(message: AuthMessage | undefined, stored: OpenedSecrets, merge: Merge): MergedAuth {
  const { bearerToken, basicPassword } = stored.secrets;
  switch (message?.value.case ?? (message === undefined ? stored.auth.kind : 'none')) {
    case 'bearer': {
      const given = message?.value.case === 'bearer' ? message.value.value.token : undefined;
      return { auth: { kind: 'bearer' }, bearerToken: choose('auth.bearer.token', given, bearerToken, merge) };
    }
    case 'basic': {
      const basic = message?.value.case === 'basic' ? message.value.value : undefined;
      const username = basic?.username ?? (stored.auth.kind === 'basic' ? stored.auth.username : '');
      const password = choose('auth.basic.password', basic?.password, basicPassword, merge);
      return { auth: { kind: 'basic', username }, basicPassword: password };
    }
    default:
      return { auth: { kind: 'none' } };
  }
}

function mergeValues(
  field: string,
  changes: readonly NamedValue[] | undefined,
  stored: Readonly<Record<string, string>> = {},
  merge: Merge,
): Record<string, string> {
  const items: readonly NamedValue[] = changes ?? Object.keys(stored).map((name) => ({ name }));
  const merged = new Map<string, string>();
  for (const [index, { name, value }] of items.entries()) {
    if (merged.has(name)) {
      merge.violations.push({ field: `${field}[${index}].name`, description: `"${name}" is listed twice` });
    }
    const kept = Object.hasOwn(stored, name) ? stored[name] : undefined;
    merged.set(name, choose(`${field}[${index}].value`, value, kept, merge));
  }
  return Object.fromEntries(merged);
}

function choose(field: string, given: string | undefined, stored: string | undefined, merge: Merge): string {
  if (given !== undefined) {
    return given;
  }
  if (stored === undefined) {
    merge.violations.push({ field, description: 'must be given: nothing is stored for it' });
    return '';
  }
  merge.kept.push(field);
  return stored;
}

function lowerCase(headers: readonly NamedValue[] | undefined): readonly NamedValue[] | undefined {
  return headers?.map((header) => ({ ...header, name: header.name.toLowerCase() }));
}

import type { IncomingHttpHeaders } from 'node:http';
import { isWellFormedApiKey } from '../config/api-key-form.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ApiKeyId, PrincipalId, ProjectId } from '../domain/ids.ts';
import { type Principal, SCOPES } from '../domain/principal.ts';
import type { KeyEntry } from '../snapshot/credentials.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { type AccessTokens, expiredToken, type VerifiedToken } from './access-token.ts';
import { hashApiKey } from './api-key.ts';
import { createBoundedCache } from './bounded-cache.ts';
import { invalidCredential, readCredential } from './credential.ts';

/** Turns the headers of a request into who makes it, before any body is read. */
export interface Authenticator {
  /**
   * At once for a credential that was seen before, after a signature check for a new access token. Throws, or rejects with,
   * `invalid_api_key`, `api_key_expired`, `api_key_revoked` or `token_expired`; what was revoked is refused from the next call on.
   */
  authenticate(headers: IncomingHttpHeaders): Principal | Promise<Principal>;
}

/** What the authenticator looks up and tells. */
export interface AuthenticatorDeps {
  readonly config: Pick<HotConfig, 'findKey' | 'findUser'>;
  readonly tokens: Pick<AccessTokens, 'verify'>;
  /** Told of every accepted API key. */
  readonly onKeyUse: (id: ApiKeyId) => void;
  readonly now: () => number;
}

interface SeenToken extends VerifiedToken {
  /** The user as it was when `principal` was made from it. */
  user?: Principal;
  principal?: Principal;
}

/** Credentials remembered: their hashes and verified signatures, never whether they are still valid. */
const MAX_KEYS = 10_000;
const MAX_TOKENS = 2_000;

/** Makes the authenticator of an installation. */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const byKey = createKeyCheck(deps);
  const byToken = createTokenCheck(deps);
  return {
    authenticate(headers) {
      const text = readCredential(headers);
      return text.startsWith('pc_') ? byKey(text) : byToken(text);
    },
  };
}

/** The authenticator of an installation with `GATEWAY_AUTH_ENABLED=false`: everyone administers the project, whatever was sent. */
export function createOpenAuthenticator(projectId: ProjectId): Authenticator {
  const anonymous: Principal = Object.freeze({
    kind: 'user',
    id: '00000000-0000-0000-0000-000000000000' as PrincipalId, // no stored user has the nil UUID
    projectId,
    name: 'anonymous',
    scopes: new Set(SCOPES),
    grants: 'all',
    teams: [],
  });
  return { authenticate: () => anonymous };
}

function createKeyCheck({ config, onKeyUse, now }: AuthenticatorDeps): (text: string) => Principal {
  const hashes = createBoundedCache<string, string>(MAX_KEYS);
  return (text) => {
    const seen = hashes.get(text);
    const secretHash = seen ?? hashApiKey(text);
    const entry = config.findKey(secretHash);
    if (entry === undefined) {
      throw unknownKey(text);
    }
    if (seen === undefined) {
      hashes.set(text, secretHash);
    }
    requireValid(entry, now());
    if (entry.principal.apiKeyId !== undefined) {
      onKeyUse(entry.principal.apiKeyId);
    }
    return entry.principal;
  };
}

function unknownKey(text: string): GatewayError {
  return invalidCredential(
    isWellFormedApiKey(text) ? 'The API key is not known.' : 'The API key is not complete: its checksum does not fit.',
  );
}

function requireValid(entry: KeyEntry, time: number): void {
  if (entry.revoked) {
    throw new GatewayError('api_key_revoked', 'The API key was revoked. Use another one.');
  }
  if (entry.ownerDisabled) {
    throw new GatewayError('api_key_revoked', 'The owner of the API key is disabled. Ask an administrator.');
  }
  if (isPast(entry.expireTime, time)) {
    throw new GatewayError('api_key_expired', 'The API key has expired. Create a new one.');
  }
  if (isPast(entry.secretExpireTime, time)) {
    throw new GatewayError('api_key_expired', 'The API key was rotated and this secret has ended. Use the new secret.');
  }
}

function isPast(end: number | undefined, time: number): boolean {
  return end !== undefined && end <= time;
}

function createTokenCheck(deps: AuthenticatorDeps): (text: string) => Principal | Promise<Principal> {
  const seenTokens = createBoundedCache<string, SeenToken>(MAX_TOKENS);
  return (text) => {
    const seen = seenTokens.get(text);
    if (seen !== undefined) {
      return principalOf(deps, seen);
    }
    return deps.tokens.verify(text).then((verified) => {
      const token = { ...verified };
      seenTokens.set(text, token);
      return principalOf(deps, token);
    });
  };
}

/** Looks the user up at every use, so that a disabled user and an ended token are refused though the signature is remembered. */
function principalOf({ config, now }: AuthenticatorDeps, token: SeenToken): Principal {
  if (token.expireTime <= now()) {
    throw expiredToken('The access token has expired.');
  }
  const user = config.findUser(token.userId);
  if (user === undefined || user.disabled || user.principal.projectId !== token.projectId) {
    throw invalidCredential('The user of the access token does not exist any more, or is disabled.');
  }
  if (token.issueTime <= user.tokensValidAfter) {
    throw expiredToken('The access token was ended, for example by a change of the password.');
  }
  if (token.user !== user.principal || token.principal === undefined) {
    token.user = user.principal;
    token.principal = Object.freeze({ ...user.principal, expireTime: token.expireTime });
  }
  return token.principal;
}

import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId, ProjectId } from '../domain/ids.ts';
import { invalidCredential } from './credential.ts';
import { ALGORITHM, type Keyring } from './keyring.ts';

/** Issuer and audience of every access token. */
const ISSUER = 'portcullis';

/** A new access token; `expireTime` in Unix milliseconds. */
interface IssuedToken {
  readonly token: string;
  readonly expireTime: number;
}

/** What a token with a good signature says; times are Unix milliseconds. */
export interface VerifiedToken {
  readonly userId: PrincipalId;
  readonly projectId: ProjectId;
  readonly issueTime: number;
  readonly expireTime: number;
}

/** The user a token is issued to. */
interface TokenSubject {
  readonly id: PrincipalId;
  readonly projectId: ProjectId;
  /** Unix milliseconds; tokens issued then or before are refused. */
  readonly tokensValidAfter: number;
}

/** Issues and checks the access tokens of users: ES256 JWTs (RFC 7519). */
export interface AccessTokens {
  issue(user: TokenSubject): Promise<IssuedToken>;
  /** Throws `token_expired`, or `invalid_api_key` for everything that is not a token of this installation. */
  verify(token: string): Promise<VerifiedToken>;
}

/** What issuing and checking tokens needs. */
export interface AccessTokensDeps {
  readonly keyring: Keyring;
  readonly lifetimeMinutes: number;
  readonly now: () => number;
}

/** Makes the issuer and checker of access tokens. */
export function createAccessTokens({ keyring, lifetimeMinutes, now }: AccessTokensDeps): AccessTokens {
  return {
    async issue(user) {
      // Another replica's clock may be ahead and have ended the tokens of a time that is still to come here.
      const issueTime = Math.max(now(), user.tokensValidAfter + 1);
      const expireTime = issueTime + lifetimeMinutes * 60_000;
      const token = await new SignJWT({ pid: user.projectId })
        .setProtectedHeader({ alg: ALGORITHM, kid: keyring.kid, typ: 'JWT' })
        .setIssuer(ISSUER)
        .setAudience(ISSUER)
        .setSubject(user.id)
        // NumericDate may have a fraction (RFC 7519 section 2): whole seconds could not tell a token from one ended in the same second.
        .setIssuedAt(issueTime / 1000)
        .setExpirationTime(Math.ceil(expireTime / 1000))
        .sign(keyring.privateKey);
      return { token, expireTime };
    },
    async verify(token) {
      const { payload } = await jwtVerify(token, (header) => publicKeyOf(keyring, header.kid), {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: ISSUER,
        requiredClaims: ['sub', 'iat', 'exp', 'pid'],
        currentDate: new Date(now()),
      }).catch(refuse);
      return readClaims(payload);
    },
  };
}

/** The refusal of an access token past its time, or ended before it. */
export function expiredToken(message: string, cause?: unknown): GatewayError {
  return new GatewayError('token_expired', `${message} Log in again, or use the refresh token.`, { cause });
}

async function publicKeyOf(keyring: Keyring, kid: string | undefined) {
  const key = kid === undefined ? undefined : await keyring.findPublicKey(kid);
  if (key === undefined) {
    throw new errors.JWKSNoMatchingKey();
  }
  return key;
}

function refuse(error: unknown): never {
  if (error instanceof errors.JWTExpired) {
    throw expiredToken('The access token has expired.', error);
  }
  if (error instanceof errors.JOSEError) {
    throw invalidCredential('The credential is neither an API key nor a valid access token.', error);
  }
  throw error;
}

/** The claims of a token that this installation signed, so their types are those that `issue` wrote. */
function readClaims({ sub, pid, iat = 0, exp = 0 }: JWTPayload): VerifiedToken {
  return {
    userId: sub as PrincipalId,
    projectId: pid as ProjectId,
    issueTime: Math.round(iat * 1000),
    expireTime: exp * 1000,
  };
}

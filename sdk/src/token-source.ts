import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { isPortcullisError } from './errors.ts';

/** What Login and RefreshToken give. */
export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expireTime?: Timestamp | undefined;
}

interface HeldTokens extends TokenPair {
  /** Unix milliseconds. */
  readonly expireMs: number;
  /** Unix milliseconds. */
  refreshMs: number;
}

/** Longest time before its end at which a token is renewed. */
const MARGIN_MS = 60_000;
/** Pause after a refresh that failed while the token is still good. */
const RETRY_MS = 5_000;

/**
 * Holds a user's tokens and renews them shortly before they expire, once for all calls that wait. A refresh token works once, so after
 * a refusal no other attempt is made: the source throws the refusal from then on. A refresh that fails for another reason is tried
 * again; until then the old token serves as long as it is good.
 */
export function createTokenSource(
  first: TokenPair,
  refresh: (refreshToken: string) => Promise<TokenPair>,
  now: () => number = Date.now,
): (refused?: string) => Promise<string> {
  let held = hold(first, now());
  let refreshing: Promise<string> | undefined;
  let refusal: unknown;

  const renew = async (): Promise<string> => {
    try {
      held = hold(await refresh(held.refreshToken), now());
      return held.accessToken;
    } catch (error) {
      if (isPortcullisError(error) && error.code === Code.Unauthenticated) {
        refusal = error;
      }
      throw error;
    } finally {
      refreshing = undefined;
    }
  };

  return async (refused) => {
    if (refusal !== undefined) {
      throw refusal;
    }
    // A call that was refused with an older token just takes the present one.
    const { accessToken, refreshMs, expireMs } = held;
    const mustRenew = refused === accessToken;
    if (!mustRenew && now() < refreshMs) {
      return accessToken;
    }
    refreshing ??= renew();
    try {
      return await refreshing;
    } catch (error) {
      if (mustRenew || refusal !== undefined || now() >= expireMs) {
        throw error;
      }
      held.refreshMs = now() + RETRY_MS;
      return accessToken;
    }
  };
}

function hold(tokens: TokenPair, nowMs: number): HeldTokens {
  const expireMs = tokens.expireTime === undefined ? Number.POSITIVE_INFINITY : timestampMs(tokens.expireTime);
  const leftMs = expireMs - nowMs;
  // A fresh token that seems expired means that the clocks differ: then only the gateway can tell, by refusing it.
  const refreshMs = leftMs > 0 ? expireMs - Math.min(MARGIN_MS, leftMs / 2) : Number.POSITIVE_INFINITY;
  return { ...tokens, expireMs, refreshMs };
}

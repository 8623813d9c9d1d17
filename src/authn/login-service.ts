import { lockConfig, withChanges } from '../db/config-changes.ts';
import { deleteExpired } from '../db/refresh-tokens.ts';
import type { Store } from '../db/store.ts';
import { findUserByUsername } from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId } from '../domain/ids.ts';
import type { AccessTokens } from './access-token.ts';
import { addressBlock } from './address-block.ts';
import { createAttemptLimiter } from './attempt-limiter.ts';
import type { Passwords } from './password.ts';
import { beginRefreshFamily, type GrantedToken, rotateRefreshToken } from './refresh-token.ts';
import { changeOwnPassword, getUserWithPassword, hashNewPassword } from './user-service.ts';

/** What a login gives; `expireTime` is the access token's, in Unix milliseconds. */
export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly expireTime: number;
}

/** Lets users in with a password and keeps them in with refresh tokens. */
export interface LoginService {
  /**
   * Throws `invalid_credentials` when the password does not fit, without telling whether the user exists, and `rate_limit_exceeded`
   * after ten failures a minute for one username from one address, or a hundred from one address.
   */
  login(username: string, password: string, address: string): Promise<TokenPair>;
  /** Throws `invalid_credentials` for a token that is unknown, expired, used before, or of a disabled user. */
  refresh(refreshToken: string): Promise<TokenPair>;
  /**
   * Sets the password of a User and ends its tokens. Throws `invalid_credentials` when the current one is wrong,
   * `rate_limit_exceeded` after ten failures a minute, `validation_failed` for a new one that breaks the rules.
   */
  changePassword(userId: PrincipalId, currentPassword: string, newPassword: string): Promise<void>;
}

/** What logins are checked against and paid with. */
export interface LoginServiceDeps {
  readonly store: Store;
  readonly passwords: Passwords;
  readonly tokens: AccessTokens;
  readonly now: () => number;
}

const WINDOW_MS = 60_000;
const CLEANUP_INTERVAL_MS = 60 * 60 * 1000;

/** Makes the login service; failed attempts are counted in this process's memory. */
export function createLoginService({ store, passwords, tokens, now }: LoginServiceDeps): LoginService {
  const byName = createAttemptLimiter({ limit: 10, windowMs: WINDOW_MS, now });
  const byAddress = createAttemptLimiter({ limit: 100, windowMs: WINDOW_MS, now });
  let cleanupTime = 0;

  const pairFor = async ({ user, refreshToken }: GrantedToken): Promise<TokenPair> => {
    const { token: accessToken, expireTime } = await tokens.issue(user);
    return { accessToken, refreshToken, expireTime };
  };

  const cleanUp = async (): Promise<void> => {
    if (now() - cleanupTime >= CLEANUP_INTERVAL_MS) {
      cleanupTime = now();
      await deleteExpired(store.db, now());
    }
  };

  return {
    async login(username, password, address) {
      const block = addressBlock(address);
      const name = `${username.toLowerCase()} ${block}`;
      // Counted before the check, so that a burst of parallel guesses does not slip through.
      byAddress.take(block);
      byName.take(name);
      const user = await findUserByUsername(store.db, username);
      const fits = await passwords.verify(password, user?.passwordHash);
      const granted = fits && user && !user.disabled ? await beginRefreshFamily(store, user, now()) : undefined;
      if (granted === undefined) {
        throw new GatewayError('invalid_credentials', 'Username and password do not fit, or the user is disabled.');
      }
      byName.giveBack(name);
      byAddress.giveBack(block);
      await cleanUp();
      return pairFor(granted);
    },

    async refresh(refreshToken) {
      const rotated = await rotateRefreshToken(store, refreshToken, now());
      if (rotated === undefined) {
        throw new GatewayError(
          'invalid_credentials',
          'The refresh token is not valid, or was used before. Log in again.',
        );
      }
      return pairFor(rotated);
    },

    async changePassword(userId, currentPassword, newPassword) {
      byName.take(userId);
      const user = await getUserWithPassword(store.db, userId);
      if (!(await passwords.verify(currentPassword, user.passwordHash))) {
        throw new GatewayError('invalid_credentials', 'The current password is wrong.');
      }
      byName.giveBack(userId);
      const passwordHash = await hashNewPassword(passwords, 'new_password', newPassword);
      await withChanges(store, async (trx, changed) => {
        await lockConfig(trx);
        await changeOwnPassword({ trx, changed, now: now() }, user, passwordHash);
      });
    },
  };
}

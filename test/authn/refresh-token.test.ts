import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAccessTokens } from '../../src/authn/access-token.ts';
import { openKeyring } from '../../src/authn/keyring.ts';
import { createLoginService, type LoginService } from '../../src/authn/login-service.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import { lockConfig } from '../../src/db/config-changes.ts';
import { endUserRefreshTokens } from '../../src/db/refresh-tokens.ts';
import type { Store } from '../../src/db/store.ts';
import { ADMIN_PASSWORD, type Clock, createClock, createInstallation, DATABASES } from './installation.ts';

const ADDRESS = '203.0.113.7';
const DAY_MS = 86_400_000;

describe.each(DATABASES)('refresh tokens on $kind', ({ kind, createLocation }) => {
  let clock: Clock;
  let at: Awaited<ReturnType<typeof createInstallation>>;
  let service: LoginService;
  let verify: (token: string) => Promise<unknown>;

  beforeEach(async () => {
    clock = createClock();
    at = await createInstallation(clock, await createLocation());
    const secretBox = createSecretBox(createSecret('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe'));
    const keyring = await openKeyring({ store: at.store, secretBox, now: clock.now });
    const tokens = createAccessTokens({ keyring, lifetimeMinutes: 60, now: clock.now });
    verify = tokens.verify;
    service = createLoginService({ store: at.store, passwords: at.passwords, tokens, now: clock.now });
  });
  afterEach(() => at.store.close());

  const login = () => service.login('admin', ADMIN_PASSWORD, ADDRESS);

  it('are traded for new tokens, each once', async () => {
    const first = await login();
    const second = await service.refresh(first.refreshToken);
    const third = await service.refresh(second.refreshToken);
    expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
    expect(await verify(third.accessToken)).toMatchObject({ userId: at.user.id });
  });

  it('end with their whole family when one is used twice, and no other login does', async () => {
    const other = await login();
    const first = await login();
    const second = await service.refresh(first.refreshToken);
    const refusal = { reason: 'invalid_credentials', message: expect.stringContaining('was used before') };
    await expect(service.refresh(first.refreshToken)).rejects.toMatchObject(refusal);
    await expect(service.refresh(second.refreshToken)).rejects.toMatchObject(refusal);
    await service.refresh(other.refreshToken);
  });

  it('that are used twice at once give one winner, whose family ends too', async () => {
    const { refreshToken } = await login();
    const uses = await Promise.allSettled([service.refresh(refreshToken), service.refresh(refreshToken)]);
    const winners = uses.filter((use) => use.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    for (const { value } of winners) {
      await expect(service.refresh(value.refreshToken)).rejects.toMatchObject({ reason: 'invalid_credentials' });
    }
  });

  it('are refused when nobody used them for thirty days, or they are none', async () => {
    const { refreshToken } = await login();
    clock.time += 30 * DAY_MS;
    await expect(service.refresh(refreshToken)).rejects.toMatchObject({ reason: 'invalid_credentials' });
    await expect(service.refresh('pr_unknown')).rejects.toMatchObject({ reason: 'invalid_credentials' });
  });

  it('leave the store when they have expired, as logins go on', async () => {
    await login();
    clock.time += 30 * DAY_MS;
    await login();
    expect(await at.store.db.selectFrom('refresh_tokens').select('create_time').execute()).toMatchObject([
      { create_time: clock.time },
    ]);
  });

  it.runIf(kind === 'postgres')('wait for whoever ends those of their user, and leave none behind', async () => {
    const { refreshToken } = await login();
    const refresh = await at.store.db.transaction().execute(async (trx) => {
      await lockConfig(trx);
      const refreshing = Promise.allSettled([service.refresh(refreshToken)]);
      await vi.waitFor(async () => expect(await countWaiting(at.store)).toBe(1), { timeout: 10_000 });
      await endUserRefreshTokens(trx, at.user.id);
      return { refreshing };
    });
    expect(await refresh.refreshing).toMatchObject([{ status: 'rejected', reason: { reason: 'invalid_credentials' } }]);
    expect(await at.store.db.selectFrom('refresh_tokens').selectAll().execute()).toStrictEqual([]);
  });
});

/** Statements of this database that wait for a lock. */
async function countWaiting({ db }: Store): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
  return rows[0]?.count ?? 0;
}

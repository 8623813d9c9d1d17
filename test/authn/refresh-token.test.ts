import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAccessTokens } from '../../src/authn/access-token.ts';
import { openKeyring } from '../../src/authn/keyring.ts';
import { createLoginService, type LoginService } from '../../src/authn/login-service.ts';
import { changeUser } from '../../src/authn/user-service.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import {
  ADMIN_PASSWORD,
  type Clock,
  createClock,
  createInstallation,
  DATABASES,
  principal,
  write,
} from './installation.ts';

const ADDRESS = '203.0.113.7';
const DAY_MS = 86_400_000;

describe.each(DATABASES)('refresh tokens on $kind', ({ createLocation }) => {
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
  const admin = () => principal(at.user.id, at.projectId, 'admin');

  it('trades a refresh token for new tokens, each once', async () => {
    const first = await login();
    const second = await service.refresh(first.refreshToken);
    const third = await service.refresh(second.refreshToken);
    expect(new Set([first, second, third].map(({ refreshToken }) => refreshToken)).size).toBe(3);
    expect(await verify(third.accessToken)).toMatchObject({ userId: at.user.id });
  });

  it('ends the family of a refresh token that is used twice, and no other login', async () => {
    const other = await login();
    const first = await login();
    const second = await service.refresh(first.refreshToken);
    const refusal = { reason: 'invalid_credentials', message: expect.stringContaining('was used before') };
    await expect(service.refresh(first.refreshToken)).rejects.toMatchObject(refusal);
    await expect(service.refresh(second.refreshToken)).rejects.toMatchObject(refusal);
    await service.refresh(other.refreshToken);
  });

  it('lets one of two uses at once win, and ends the family', async () => {
    const { refreshToken } = await login();
    const uses = await Promise.allSettled([service.refresh(refreshToken), service.refresh(refreshToken)]);
    const winners = uses.filter((use) => use.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    for (const { value } of winners) {
      await expect(service.refresh(value.refreshToken)).rejects.toMatchObject({ reason: 'invalid_credentials' });
    }
  });

  it('refuses a refresh token that nobody used for thirty days, or that is none', async () => {
    const { refreshToken } = await login();
    clock.time += 30 * DAY_MS;
    await expect(service.refresh(refreshToken)).rejects.toMatchObject({ reason: 'invalid_credentials' });
    await expect(service.refresh('pr_unknown')).rejects.toMatchObject({ reason: 'invalid_credentials' });
  });

  it('removes what expired from the store as logins go on', async () => {
    await login();
    clock.time += 30 * DAY_MS;
    await login();
    expect(await at.store.db.selectFrom('refresh_tokens').select('create_time').execute()).toMatchObject([
      { create_time: clock.time },
    ]);
  });

  it('leaves no refresh token behind when tokens end while a refresh runs', async () => {
    const { refreshToken } = await login();
    const results = await Promise.allSettled([
      service.refresh(refreshToken),
      write(at.store, clock, (writing) =>
        changeUser(
          writing,
          admin(),
          { projectId: at.projectId, id: at.user.id, revision: undefined },
          { passwordHash: 'new' },
        ),
      ),
    ]);
    expect(results[1].status).toBe('fulfilled');
    expect(await at.store.db.selectFrom('refresh_tokens').selectAll().execute()).toStrictEqual([]);
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AccessTokens, createAccessTokens } from '../../src/authn/access-token.ts';
import { openKeyring } from '../../src/authn/keyring.ts';
import { createLoginService, type LoginService } from '../../src/authn/login-service.ts';
import { addUser, changeUser, hashNewPassword } from '../../src/authn/user-service.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import type { PrincipalId } from '../../src/domain/ids.ts';
import { ADMIN_PASSWORD, type Clock, createClock, createInstallation, principal, write } from './installation.ts';

const ADDRESS = '203.0.113.7';

describe('the login service', () => {
  let clock: Clock;
  let at: Awaited<ReturnType<typeof createInstallation>>;
  let service: LoginService;
  let tokens: AccessTokens;

  beforeEach(async () => {
    clock = createClock();
    at = await createInstallation(clock);
    const secretBox = createSecretBox(createSecret('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe'));
    const keyring = await openKeyring({ store: at.store, secretBox, now: clock.now });
    tokens = createAccessTokens({ keyring, lifetimeMinutes: 60, now: clock.now });
    service = createLoginService({ store: at.store, passwords: at.passwords, tokens, now: clock.now });
  });
  afterEach(() => at.store.close());

  const login = () => service.login('admin', ADMIN_PASSWORD, ADDRESS);
  const wrongLogin = (username = 'admin', address = ADDRESS) => service.login(username, 'wrong password', address);
  const admin = () => principal(at.user.id, at.projectId, 'admin');

  it('gives tokens for the right password, the name in any case', async () => {
    const given = await service.login('ADMIN', ADMIN_PASSWORD, ADDRESS);
    expect(given).toStrictEqual({
      accessToken: expect.stringMatching(/^ey/),
      refreshToken: expect.stringMatching(/^pr_[0-9A-Za-z]{43}$/),
      expireTime: clock.time + 3_600_000,
    });
    expect(await tokens.verify(given.accessToken)).toMatchObject({ userId: at.user.id, projectId: at.projectId });
  });

  it('says the same of a wrong password, an unknown name and a disabled user', async () => {
    const passwordHash = await hashNewPassword(at.passwords, 'password', 'mias own password');
    await write(at.store, clock, async (writing) => {
      const input = { projectId: at.projectId, username: 'mia', email: '', scopes: [], teams: [], passwordHash };
      const { id, projectId } = await addUser(writing, admin(), input);
      await changeUser(writing, admin(), { id, projectId, revision: undefined }, { disabled: true });
    });
    const refusal = {
      reason: 'invalid_credentials',
      message: 'Username and password do not fit, or the user is disabled.',
    };
    await expect(wrongLogin()).rejects.toMatchObject(refusal);
    await expect(wrongLogin('nobody')).rejects.toMatchObject(refusal);
    await expect(service.login('mia', 'mias own password', ADDRESS)).rejects.toMatchObject(refusal);
  });

  it('refuses the eleventh wrong attempt within a minute for one name from one address, and only those', async () => {
    const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => wrongLogin()));
    const reasons = attempts.map((attempt) => (attempt.status === 'rejected' ? attempt.reason.reason : 'accepted'));
    expect(reasons.filter((reason) => reason === 'invalid_credentials')).toHaveLength(10);
    expect(reasons.filter((reason) => reason === 'rate_limit_exceeded')).toHaveLength(2);
    await expect(service.login('Admin', ADMIN_PASSWORD, ADDRESS)).rejects.toMatchObject({
      reason: 'rate_limit_exceeded',
      retryAfterMs: 60_000,
    });
    await service.login('admin', ADMIN_PASSWORD, '203.0.113.8');
    await expect(wrongLogin('nobody')).rejects.toMatchObject({ reason: 'invalid_credentials' });
    clock.time += 60_000;
    await login();
  });

  it('does not count logins that succeed', async () => {
    const logins = [];
    for (let round = 0; round < 11; round++) {
      logins.push(await login());
    }
    expect(logins).toHaveLength(11);
  });

  it('does not let in with a password that was changed while it was checked', async () => {
    const passwords = {
      ...at.passwords,
      async verify(password: string, stored: string | undefined) {
        const fits = await at.passwords.verify(password, stored);
        const target = { projectId: at.projectId, id: at.user.id, revision: undefined };
        await write(at.store, clock, (writing) => changeUser(writing, admin(), target, { passwordHash: 'new' }));
        return fits;
      },
    };
    const racing = createLoginService({ store: at.store, passwords, tokens, now: clock.now });
    await expect(racing.login('admin', ADMIN_PASSWORD, ADDRESS)).rejects.toMatchObject({
      reason: 'invalid_credentials',
    });
  });

  it('changes a password, and ends all tokens of the user', async () => {
    const { accessToken, refreshToken } = await login();
    await service.changePassword(at.user.id, ADMIN_PASSWORD, 'another long password');
    await expect(login()).rejects.toMatchObject({ reason: 'invalid_credentials' });
    await expect(service.refresh(refreshToken)).rejects.toMatchObject({ reason: 'invalid_credentials' });
    const { accessToken: newToken } = await service.login('admin', 'another long password', ADDRESS);
    // The clock stood still: the new token is told from the old one all the same.
    expect(await tokens.verify(accessToken)).toMatchObject({ issueTime: clock.time });
    expect(await tokens.verify(newToken)).toMatchObject({ issueTime: clock.time + 1 });
  });

  it('changes no password without the current one, for a bad one, or for nobody', async () => {
    const change = (id: PrincipalId, current: string, next: string) => service.changePassword(id, current, next);
    await expect(change(at.user.id, 'wrong password', 'another long password')).rejects.toMatchObject({
      reason: 'invalid_credentials',
    });
    await expect(change(at.user.id, ADMIN_PASSWORD, 'short')).rejects.toMatchObject({
      reason: 'validation_failed',
      violations: [{ field: 'new_password', description: 'must have 12 to 256 characters' }],
    });
    const anonymous = '00000000-0000-0000-0000-000000000000' as PrincipalId;
    await expect(change(anonymous, 'x', 'another long password')).rejects.toMatchObject({
      reason: 'failed_precondition',
      metadata: { condition: 'not_a_user' },
    });
    await login();
  });

  it('limits guesses of the current password', async () => {
    const guess = () => service.changePassword(at.user.id, 'wrong password', 'another long password');
    for (let round = 0; round < 10; round++) {
      await expect(guess()).rejects.toMatchObject({ reason: 'invalid_credentials' });
    }
    await expect(guess()).rejects.toMatchObject({ reason: 'rate_limit_exceeded' });
  });
});

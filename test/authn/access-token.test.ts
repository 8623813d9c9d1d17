import { decodeJwt, decodeProtectedHeader, generateKeyPair, importJWK, jwtVerify, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAccessTokens } from '../../src/authn/access-token.ts';
import { type Keyring, openKeyring } from '../../src/authn/keyring.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import { listSigningKeys, retireSigningKey } from '../../src/db/signing-keys.ts';
import { openDatabase, type Store } from '../../src/db/store.ts';
import type { PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { createClock } from './installation.ts';

const KEY = createSecret('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe');
const OTHER_KEY = createSecret('b3ViaGVyLWtleS1vZi1hLXJlcGxpY2E6');
const USER = { id: 'user-1' as PrincipalId, projectId: 'project-1' as ProjectId, tokensValidAfter: 0 };

let store: Store;
let keyring: Keyring;
const clock = createClock(1_793_491_200_123);

beforeEach(async () => {
  clock.time = 1_793_491_200_123;
  store = await openDatabase({ kind: 'memory' });
  keyring = await openKeyring({ store, secretBox: createSecretBox(KEY), now: clock.now });
});
afterEach(() => store.close());

const createTokens = (ring = keyring) => createAccessTokens({ keyring: ring, lifetimeMinutes: 60, now: clock.now });

describe('an access token', () => {
  it('is an ES256 JWT that names the user and the project', async () => {
    const { token, expireTime } = await createTokens().issue(USER);
    expect(decodeProtectedHeader(token)).toStrictEqual({ alg: 'ES256', kid: keyring.kid, typ: 'JWT' });
    expect(decodeJwt(token)).toStrictEqual({
      iss: 'portcullis',
      aud: 'portcullis',
      sub: 'user-1',
      pid: 'project-1',
      iat: 1_793_491_200.123,
      exp: 1_793_494_801,
    });
    expect(expireTime).toBe(1_793_494_800_123);
  });

  it('is checked by anyone who reads the key set, which holds nothing private', async () => {
    const { token } = await createTokens().issue(USER);
    const { keys } = keyring.jwks();
    expect(keys).toStrictEqual([
      {
        kty: 'EC',
        crv: 'P-256',
        x: expect.stringMatching(/^[\w-]{43}$/),
        y: expect.stringMatching(/^[\w-]{43}$/),
        kid: keyring.kid,
        alg: 'ES256',
        use: 'sig',
      },
    ]);
    const { payload } = await jwtVerify(token, await importJWK(keys[0] ?? {}, 'ES256'), {
      currentDate: new Date(clock.time),
    });
    expect(payload.sub).toBe('user-1');
  });

  it('says who it was issued to, and when', async () => {
    const { token } = await createTokens().issue(USER);
    expect(await createTokens().verify(token)).toStrictEqual({
      userId: 'user-1',
      projectId: 'project-1',
      issueTime: 1_793_491_200_123,
      expireTime: 1_793_494_801_000,
    });
  });

  it('is issued after the time at which the tokens of the user ended, even if that is still to come here', async () => {
    const { token } = await createTokens().issue({ ...USER, tokensValidAfter: clock.time + 5000 });
    expect((await createTokens().verify(token)).issueTime).toBe(1_793_491_205_124);
  });

  it('is refused as expired after its time', async () => {
    const { token } = await createTokens().issue(USER);
    clock.time += 3_600_000;
    await expect(createTokens().verify(token)).resolves.toMatchObject({ userId: 'user-1' });
    clock.time += 1000;
    await expect(createTokens().verify(token)).rejects.toMatchObject({ reason: 'token_expired' });
  });

  it.each([
    ['another issuer', { iss: 'other' }],
    ['another audience', { aud: 'other' }],
    ['no expiry', { exp: undefined }],
    ['no time of issue', { iat: undefined }],
    ['no subject', { sub: undefined }],
    ['no project', { pid: undefined }],
  ])('is refused with %s', async (_name, claims) => {
    const good = { iss: 'portcullis', aud: 'portcullis', sub: 'u', pid: 'p', iat: 1, exp: 9_999_999_999 };
    const sign = (payload: object) =>
      new SignJWT({ ...payload }).setProtectedHeader({ alg: 'ES256', kid: keyring.kid }).sign(keyring.privateKey);
    await expect(createTokens().verify(await sign(good))).resolves.toMatchObject({ userId: 'u' });
    await expect(createTokens().verify(await sign({ ...good, ...claims }))).rejects.toMatchObject({
      reason: 'invalid_api_key',
    });
  });

  it('is refused when another key signed it', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const sign = (kid: string) =>
      createAccessTokens({ keyring: { ...keyring, kid, privateKey }, lifetimeMinutes: 60, now: clock.now }).issue(USER);
    for (const kid of [keyring.kid, 'unknown']) {
      await expect(createTokens().verify((await sign(kid)).token)).rejects.toMatchObject({ reason: 'invalid_api_key' });
    }
  });

  it.each([
    ['no signature', 'none', ''],
    ['the public key as a shared secret', 'HS256', 'AAAA'],
  ])('is refused with %s', async (_name, alg, signature) => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const { token } = await createTokens().issue(USER);
    const forged = `${encode({ alg, kid: keyring.kid })}.${token.split('.')[1]}.${signature}`;
    await expect(createTokens().verify(forged)).rejects.toMatchObject({
      reason: 'invalid_api_key',
      message: expect.stringContaining('neither an API key nor a valid access token'),
    });
  });

  it.each(['', 'text', 'a.b.c', '..', 'ey.ey.ey'])('is not %j', async (text) => {
    await expect(createTokens().verify(text)).rejects.toMatchObject({ reason: 'invalid_api_key' });
  });
});

describe('the keyring', () => {
  it('is the same at every start and on every replica', async () => {
    const { token } = await createTokens().issue(USER);
    const again = await openKeyring({ store, secretBox: createSecretBox(KEY), now: clock.now });
    expect(again.kid).toBe(keyring.kid);
    expect(await createTokens(again).verify(token)).toMatchObject({ userId: 'user-1' });
  });

  it('keeps its private key sealed, and seals it again after a change of the secret key', async () => {
    const [before] = await listSigningKeys(store.db);
    expect(before?.sealedPrivateJwk).toMatch(/^ey[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
    await openKeyring({ store, secretBox: createSecretBox(OTHER_KEY, [KEY]), now: clock.now });
    const later = await openKeyring({ store, secretBox: createSecretBox(OTHER_KEY), now: clock.now });
    expect(later.kid).toBe(keyring.kid);
  });

  it('does not open with another secret key, and says what to do', async () => {
    const opening = openKeyring({ store, secretBox: createSecretBox(OTHER_KEY), now: clock.now });
    await expect(opening).rejects.toMatchObject({
      reason: 'failed_precondition',
      message: expect.stringContaining('GATEWAY_PREVIOUS_SECRET_KEYS'),
    });
  });

  it('follows a key that was retired and replaced elsewhere', async () => {
    const old = await createTokens().issue(USER);
    await retireSigningKey(store.db, keyring.kid, clock.time + 60_000);
    clock.time += 10_000;
    const elsewhere = await openKeyring({ store, secretBox: createSecretBox(KEY), now: clock.now });
    const { token } = await createTokens(elsewhere).issue(USER);
    expect(await createTokens().verify(token)).toMatchObject({ userId: 'user-1' });
    expect(await createTokens().verify(old.token)).toMatchObject({ userId: 'user-1' });
    expect(keyring.jwks().keys).toHaveLength(2);
    clock.time += 50_000;
    await expect(createTokens().verify(old.token)).rejects.toMatchObject({ reason: 'invalid_api_key' });
    expect(keyring.jwks().keys).toHaveLength(1);
  });
});

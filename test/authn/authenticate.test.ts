import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AccessTokens, createAccessTokens } from '../../src/authn/access-token.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import { addApiKey, changeApiKey, endApiKey, rotateApiKey } from '../../src/authn/api-key-service.ts';
import { type Authenticator, createAuthenticator, createOpenAuthenticator } from '../../src/authn/authenticate.ts';
import { openKeyring } from '../../src/authn/keyring.ts';
import { addUser, changeUser, removeUser } from '../../src/authn/user-service.ts';
import { createSecret } from '../../src/config/secret.ts';
import { createSecretBox } from '../../src/config/secret-box.ts';
import { deleteAgent, insertAgent, updateAgent } from '../../src/db/agents.ts';
import type { ApiKeyRecord } from '../../src/db/api-keys.ts';
import type { UserRecord } from '../../src/db/users.ts';
import type { Agent } from '../../src/domain/agent.ts';
import type { GatewayError } from '../../src/domain/errors.ts';
import type { ApiKeyId, ProjectId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createHotConfig, type HotConfig } from '../../src/snapshot/hot-config.ts';
import { type Clock, createClock, createInstallation, draftAgent, principal, write } from './installation.ts';

let clock: Clock;
let at: Awaited<ReturnType<typeof createInstallation>>;
let config: HotConfig;
let tokens: AccessTokens;
let authenticator: Authenticator;
let admin: Principal;
let user: UserRecord;
let key: ApiKeyRecord;
let secret: string;
let used: ApiKeyId[];
let verified: number;

beforeEach(async () => {
  clock = createClock();
  at = await createInstallation(clock);
  config = await createHotConfig(at.store);
  const secretBox = createSecretBox(createSecret('T7vq0LrX2mWc9ZkP4sYb8HdN1fGj5uAe'));
  const keyring = await openKeyring({ store: at.store, secretBox, now: clock.now });
  tokens = createAccessTokens({ keyring, lifetimeMinutes: 60, now: clock.now });
  used = [];
  verified = 0;
  authenticator = createAuthenticator({
    config,
    tokens: {
      verify(token) {
        verified++;
        return tokens.verify(token);
      },
    },
    onKeyUse: (id) => used.push(id),
    now: clock.now,
  });
  admin = principal(at.user.id, at.projectId, 'admin');
  const { projectId } = at;
  user = await write(at.store, clock, (writing) =>
    addUser(writing, admin, {
      projectId,
      username: 'mia',
      email: '',
      scopes: ['gateway:read', 'tools:call'],
      teams: ['finance'],
      passwordHash: '',
    }),
  );
  const input = { projectId, ownerId: user.id, displayName: '', grants: undefined, expireTime: clock.time + 1000 };
  const made = await write(at.store, clock, (writing) =>
    addApiKey(writing, admin, { ...input, scopes: ['tools:call'] }),
  );
  key = made.key;
  secret = made.secret;
});
afterEach(async () => {
  config.close();
  await at.store.close();
});

/** The principal, or the reason of the refusal; a promise shows as such. */
function authenticate(headers: Parameters<Authenticator['authenticate']>[0]): unknown {
  try {
    return authenticator.authenticate(headers);
  } catch (error) {
    return error instanceof Error && 'reason' in error ? error.reason : error;
  }
}

const target = () => ({ projectId: at.projectId, id: key.id, revision: undefined });
const userTarget = () => ({ projectId: at.projectId, id: user.id, revision: undefined });

describe('an API key', () => {
  it('stands for its owner within its own scopes, at once, in each of its headers', () => {
    const found = authenticate({ authorization: `Bearer ${secret}` });
    expect(found).toStrictEqual({
      kind: 'user',
      id: user.id,
      projectId: at.projectId,
      name: 'mia',
      scopes: new Set(['tools:call']),
      grants: 'all',
      apiKeyId: key.id,
      keyPrefix: secret.slice(0, 11),
      teams: ['finance'],
      expireTime: clock.time + 1000,
    });
    expect(authenticate({ 'x-api-key': secret })).toBe(found);
    expect(authenticate({ 'x-veto-api-key': secret })).toBe(found);
    expect(used).toStrictEqual([key.id, key.id, key.id]);
  });

  it('that is unknown, incomplete, or sent with another one is invalid', () => {
    expect(authenticate({ 'x-api-key': createApiKey() })).toBe('invalid_api_key');
    expect(authenticate({ 'x-api-key': secret.slice(0, -1) })).toBe('invalid_api_key');
    expect(() => authenticator.authenticate({ 'x-api-key': secret.slice(0, -1) })).toThrow('its checksum does not fit');
    expect(() => authenticator.authenticate({ 'x-api-key': createApiKey() })).toThrow('The API key is not known.');
    expect(authenticate({ 'x-api-key': secret, authorization: `Bearer ${at.apiKey}` })).toBe('invalid_api_key');
    expect(authenticate({})).toBe('invalid_api_key');
    expect(used).toStrictEqual([]);
  });

  it('is refused from its expiry on, though it was seen before', async () => {
    clock.time += 999;
    expect(authenticate({ 'x-api-key': secret })).toMatchObject({ name: 'mia' });
    clock.time += 1;
    expect(authenticate({ 'x-api-key': secret })).toBe('api_key_expired');
    await write(at.store, clock, (writing) => changeApiKey(writing, admin, target(), { expireTime: clock.time + 1 }));
    expect(authenticate({ 'x-api-key': secret })).toMatchObject({ name: 'mia' });
  });

  it('is refused from its revocation on, though it was seen before', async () => {
    expect(authenticate({ 'x-api-key': secret })).toMatchObject({ name: 'mia' });
    await write(at.store, clock, (writing) => endApiKey(writing, admin, target()));
    expect(authenticate({ 'x-api-key': secret })).toBe('api_key_revoked');
    expect(used).toStrictEqual([key.id]);
  });

  it('keeps its old secret for the overlap of a rotation', async () => {
    expect(authenticate({ 'x-api-key': secret })).toMatchObject({ name: 'mia' });
    const rotated = await write(at.store, clock, (writing) => rotateApiKey(writing, admin, target(), 500));
    expect(authenticate({ 'x-api-key': rotated.secret })).toMatchObject({ keyPrefix: rotated.secret.slice(0, 11) });
    clock.time += 499;
    expect(authenticate({ 'x-api-key': secret })).toMatchObject({ keyPrefix: secret.slice(0, 11) });
    clock.time += 1;
    expect(authenticate({ 'x-api-key': secret })).toBe('api_key_expired');
    expect(authenticate({ 'x-api-key': rotated.secret })).toMatchObject({ name: 'mia' });
  });

  it('loses what its owner loses', async () => {
    await write(at.store, clock, (writing) => changeUser(writing, admin, userTarget(), { scopes: ['gateway:read'] }));
    expect(authenticate({ 'x-api-key': secret })).toMatchObject({ scopes: new Set() });
    await write(at.store, clock, (writing) => changeUser(writing, admin, userTarget(), { disabled: true }));
    expect(authenticate({ 'x-api-key': secret })).toBe('api_key_revoked');
    await write(at.store, clock, (writing) => removeUser(writing, userTarget()));
    expect(authenticate({ 'x-api-key': secret })).toBe('api_key_revoked');
  });
});

describe('an API key of an agent', () => {
  let bot: Agent;
  let botSecret: string;

  beforeEach(async () => {
    bot = draftAgent(at.projectId, 'billing-bot', { teams: ['finance'], ownerId: user.id });
    const made = await write(at.store, clock, async (writing) => {
      await insertAgent(writing.trx, bot);
      writing.changed('agent', bot.id);
      const input = {
        projectId: at.projectId,
        ownerId: bot.id,
        displayName: '',
        grants: undefined,
        expireTime: undefined,
      };
      return addApiKey(writing, admin, { ...input, scopes: ['gateway:read', 'tools:call'] });
    });
    botSecret = made.secret;
    key = made.key;
  });
  const change = (changes: Pick<Partial<Agent>, 'state' | 'teams'>) =>
    write(at.store, clock, async ({ trx, changed }) => {
      bot = (await updateAgent(trx, bot.id, bot.revision, { ...changes, updateTime: clock.time })) ?? bot;
      changed('agent', bot.id);
    });

  it('stands for the agent, with what it carries', () => {
    expect(authenticate({ 'x-api-key': botSecret })).toStrictEqual({
      kind: 'agent',
      id: bot.id,
      projectId: at.projectId,
      name: 'billing-bot',
      scopes: new Set(['gateway:read', 'tools:call']),
      grants: 'all',
      apiKeyId: key.id,
      keyPrefix: botSecret.slice(0, 11),
      teams: ['finance'],
      agentState: 'active',
      ownerId: user.id,
    });
  });

  it('follows the state and the teams of the agent, and tells who is not ACTIVE', async () => {
    authenticate({ 'x-api-key': botSecret });
    await change({ state: 'suspended', teams: ['ops'] });
    expect(authenticate({ 'x-api-key': botSecret })).toMatchObject({ agentState: 'suspended', teams: ['ops'] });
    await change({ state: 'active' });
    expect(authenticate({ 'x-api-key': botSecret })).toMatchObject({ agentState: 'active' });
  });

  it('is without an owner when that user is deleted', async () => {
    await write(at.store, clock, (writing) => removeUser(writing, userTarget()));
    const found = authenticate({ 'x-api-key': botSecret });
    expect(found).toMatchObject({ kind: 'agent' });
    expect(found).not.toHaveProperty('ownerId');
  });

  it('ends with its own revocation, and with the agent', async () => {
    const other = await write(at.store, clock, (writing) => rotateApiKey(writing, admin, target(), 0));
    expect(authenticate({ 'x-api-key': botSecret })).toBe('api_key_expired');
    expect(authenticate({ 'x-api-key': other.secret })).toMatchObject({ kind: 'agent' });
    await write(at.store, clock, async ({ trx, changed }) => {
      await deleteAgent(trx, bot.id);
      changed('agent', bot.id);
    });
    expect(authenticate({ 'x-api-key': other.secret })).toBe('invalid_api_key');
  });
});

describe('an access token', () => {
  const headersWith = (token: string) => ({ authorization: `Bearer ${token}` });

  it('stands for its user with all its scopes, and is verified once', async () => {
    const { token } = await tokens.issue(user);
    const found = await authenticator.authenticate(headersWith(token));
    expect(found).toStrictEqual({
      kind: 'user',
      id: user.id,
      projectId: at.projectId,
      name: 'mia',
      scopes: new Set(['gateway:read', 'tools:call']),
      grants: 'all',
      teams: ['finance'],
      expireTime: clock.time + 3_600_000,
    });
    expect(authenticate(headersWith(token))).toBe(found);
    expect(verified).toBe(1);
  });

  it('is refused after its time, though it was seen before', async () => {
    const { token } = await tokens.issue(user);
    await authenticator.authenticate(headersWith(token));
    clock.time += 3_600_000;
    expect(authenticate(headersWith(token))).toBe('token_expired');
  });

  it('is refused once the tokens of its user have ended, though it was seen before', async () => {
    const { token } = await tokens.issue(user);
    await authenticator.authenticate(headersWith(token));
    const changed = await write(at.store, clock, (writing) =>
      changeUser(writing, admin, userTarget(), { passwordHash: 'new' }),
    );
    expect(authenticate(headersWith(token))).toBe('token_expired');
    const next = await tokens.issue(changed);
    expect(await authenticator.authenticate(headersWith(next.token))).toMatchObject({ name: 'mia' });
  });

  it('is refused before it was ever seen when the tokens of its user have ended', async () => {
    const { token } = await tokens.issue(user);
    await write(at.store, clock, (writing) => changeUser(writing, admin, userTarget(), { passwordHash: 'new' }));
    await expect(authenticator.authenticate(headersWith(token))).rejects.toMatchObject({ reason: 'token_expired' });
  });

  it('follows the scopes of its user', async () => {
    const { token } = await tokens.issue(user);
    await authenticator.authenticate(headersWith(token));
    await write(at.store, clock, (writing) => changeUser(writing, admin, userTarget(), { scopes: ['gateway:read'] }));
    expect(authenticate(headersWith(token))).toMatchObject({ scopes: new Set(['gateway:read']) });
  });

  it('follows the teams of its user', async () => {
    const { token } = await tokens.issue(user);
    await authenticator.authenticate(headersWith(token));
    await write(at.store, clock, (writing) => changeUser(writing, admin, userTarget(), { teams: ['ops'] }));
    expect(authenticate(headersWith(token))).toMatchObject({ teams: ['ops'] });
  });

  it('of a disabled or deleted user is refused', async () => {
    const { token } = await tokens.issue(user);
    await authenticator.authenticate(headersWith(token));
    await write(at.store, clock, (writing) => changeUser(writing, admin, userTarget(), { disabled: true }));
    expect(authenticate(headersWith(token))).toBe('invalid_api_key');
    await write(at.store, clock, (writing) => removeUser(writing, userTarget()));
    expect(authenticate(headersWith(token))).toBe('invalid_api_key');
  });

  it('of another project than its user is refused', async () => {
    const { token } = await tokens.issue({ ...user, projectId: 'elsewhere' as ProjectId });
    await expect(authenticator.authenticate(headersWith(token))).rejects.toMatchObject({ reason: 'invalid_api_key' });
  });
});

describe('switched-off authentication', () => {
  it('makes everyone the same administrator of the project, whatever is sent', () => {
    const open = createOpenAuthenticator(at.projectId);
    expect(open.authenticate({})).toStrictEqual({
      kind: 'user',
      id: '00000000-0000-0000-0000-000000000000',
      projectId: at.projectId,
      name: 'anonymous',
      scopes: new Set(['gateway:read', 'gateway:write', 'tools:call', 'approvals:decide', 'admin']),
      grants: 'all',
      teams: [],
    });
    expect(open.authenticate({ authorization: 'Bearer nonsense' })).toBe(open.authenticate({}));
  });
});

it('no refusal repeats the credential', async () => {
  const texts = [secret.slice(0, -1), createApiKey(), `${secret}x`, 'hunter2hunter2'];
  const refusals: unknown[] = [];
  for (const text of texts) {
    for (const headers of [{ 'x-api-key': text, authorization: `Bearer ${at.apiKey}` }, { 'x-api-key': text }]) {
      const attempt = async () => authenticator.authenticate(headers);
      refusals.push(await attempt().catch((error: unknown) => error));
    }
  }
  const printed = refusals.map((refusal) => inspect(refusal, { depth: 9 })).join();
  expect(refusals.map((refusal) => (refusal as GatewayError).reason)).toStrictEqual(Array(8).fill('invalid_api_key'));
  for (const text of [...texts, at.apiKey]) {
    expect(printed).not.toContain(text);
  }
});

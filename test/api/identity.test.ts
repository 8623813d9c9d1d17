import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import {
  addUser,
  createInstallation,
  type Installation,
  NOW,
  refusalOf,
  transportAs,
  withRights,
} from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const ann = { username: 'ann', password: 'a long password', email: 'ann@example.com', scopes: [Scope.TOOLS_CALL] };
const other = { value: { case: 'slug' as const, value: 'other' } };

describe('a login', () => {
  it('hands on what was sent, with the address of the client, and answers with tokens', async () => {
    const seen: string[][] = [];
    const tokens = { accessToken: 'access', refreshToken: 'refresh', expireTime: 1_800_000_000_000 };
    const logins = {
      login: async (...args: string[]) => (seen.push(args), tokens),
      refresh: async (...args: string[]) => (seen.push(args), tokens),
      changePassword: async (...args: string[]) => void seen.push(args),
    };
    await gateway.close();
    gateway = await createInstallation({ logins });
    const client = createClient(AuthService, transportAs(gateway.api, { clientAddress: '192.0.2.7' }));
    expect(await client.login({ username: 'ann', password: 'pw' })).toMatchObject({
      accessToken: 'access',
      refreshToken: 'refresh',
      expireTime: timestampFromMs(1_800_000_000_000),
    });
    await client.refreshToken({ refreshToken: 'refresh' });
    const own = gateway.as(gateway.admin, AuthService);
    await own.changePassword({ currentPassword: 'pw', newPassword: 'a longer password' });
    expect(seen).toEqual([['ann', 'pw', '192.0.2.7'], ['refresh'], [gateway.admin.id, 'pw', 'a longer password']]);
  });
});

describe('a user', () => {
  it('is created, read and listed without its password', async () => {
    const client = gateway.as(gateway.admin, AuthService);
    const { user } = await client.createUser(ann);
    expect(user).toMatchObject({
      username: 'ann',
      email: 'ann@example.com',
      scopes: [Scope.TOOLS_CALL],
      disabled: false,
      etag: '1',
    });
    expect((await client.getUser({ id: user?.id ?? '' })).user).toEqual(user);
    expect((await client.listUsers({})).users.map(({ username }) => username)).toEqual(['admin', 'ann']);
    expect(gateway.logLines.join('')).not.toContain('a long password');
  });

  it('is changed with the etag that was read only', async () => {
    const client = gateway.as(gateway.admin, AuthService);
    const { user } = await client.createUser(ann);
    const id = user?.id ?? '';
    expect((await client.updateUser({ id, etag: '1', disabled: true })).user).toMatchObject({
      disabled: true,
      etag: '2',
    });
    expect(await refusalOf(client.updateUser({ id, etag: '1', email: '' }))).toMatchObject({ code: 'Aborted' });
    expect(await refusalOf(client.deleteUser({ id, etag: 'nonsense' }))).toMatchObject({ code: 'Aborted' });
    expect((await client.updateUser({ id, email: '' })).user).toMatchObject({ email: '', disabled: true });
  });

  it('is of the teams that it is given, until others replace them', async () => {
    const client = gateway.as(gateway.admin, AuthService);
    const { user } = await client.createUser({ ...ann, teams: { teams: ['finance', 'ops'] } });
    const id = user?.id ?? '';
    expect(user?.teams).toEqual(['finance', 'ops']);
    expect((await client.updateUser({ id, email: '' })).user?.teams).toEqual(['finance', 'ops']);
    expect((await client.updateUser({ id, teams: { teams: ['ops'] } })).user?.teams).toEqual(['ops']);
    expect((await client.updateUser({ id, teams: {} })).user?.teams).toEqual([]);
    for (const teams of [['Ops'], ['a', 'a'], ['-a'], ['']]) {
      const refusal = await refusalOf(client.updateUser({ id, teams: { teams } }));
      expect(refusal.violations).toMatchObject([{ field: expect.stringMatching(/^teams\.teams/) }]);
    }
  });

  it('cannot be the last admin and be removed', async () => {
    const refusal = await refusalOf(gateway.as(gateway.admin, AuthService).deleteUser({ id: gateway.admin.id }));
    expect(refusal).toMatchObject({ code: 'FailedPrecondition', metadata: { condition: 'last_admin' } });
  });

  it('of another project looks like one that does not exist', async () => {
    const client = gateway.as(gateway.otherAdmin, AuthService);
    const [real, invented] = [gateway.admin.id, '0199aaaa-0000-7000-8000-000000000000'];
    for (const id of [real, invented]) {
      for (const request of [
        client.getUser({ id }),
        client.updateUser({ id, disabled: true }),
        client.deleteUser({ id }),
      ]) {
        const { code, message } = await refusalOf(request);
        expect(code).toBe('PermissionDenied');
        expect(message).toBe(`The credential has no access to the user "${id}" (or it might not exist).`);
      }
    }
    const stillThere = await gateway.as(gateway.admin, AuthService).getUser({ id: real });
    expect(stillThere.user?.disabled).toBe(false);
  });

  it('of another project is managed by an operator who names the project', async () => {
    const client = gateway.as(gateway.admin, AuthService);
    const { user } = await client.createUser({ ...ann, project: other });
    expect(user?.projectId).toBe(gateway.otherAdmin.projectId);
    expect((await client.listUsers({ project: other })).users).toHaveLength(2);
    expect((await client.listUsers({})).users).toHaveLength(1);
  });
});

describe('an API key', () => {
  it('is told once', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const { apiKey, secret } = await client.createApiKey({ displayName: 'CI', scopes: [Scope.TOOLS_CALL] });
    expect(secret).toMatch(/^pc_[0-9A-Za-z]{49}$/);
    expect(apiKey).toMatchObject({
      displayName: 'CI',
      ownerId: gateway.admin.id,
      scopes: [Scope.TOOLS_CALL],
      grants: { allUpstreams: true },
      keyPrefix: secret.slice(0, 11),
      etag: '1',
    });
    expect((await client.getApiKey({ id: apiKey?.id ?? '' })).apiKey).toEqual(apiKey);
    expect(gateway.logLines.join('')).not.toContain(secret);
  });

  it('gets no more rights than the credential that makes it', async () => {
    const client = gateway.as(withRights(gateway.admin, 'gateway:write', 'tools:call'), ApiKeyService);
    expect(await refusalOf(client.createApiKey({ scopes: [Scope.ADMIN] }))).toMatchObject({
      code: 'PermissionDenied',
      metadata: { required_permissions: 'admin' },
    });
    const limited = { ...gateway.admin, grants: new Set([]) };
    const wide = gateway
      .as(limited, ApiKeyService)
      .createApiKey({ scopes: [Scope.TOOLS_CALL], grants: { allUpstreams: true } });
    expect(await refusalOf(wide)).toMatchObject({ code: 'PermissionDenied' });
  });

  it('is rotated with an overlap and revoked for good', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const created = await client.createApiKey({ scopes: [Scope.TOOLS_CALL] });
    const id = created.apiKey?.id ?? '';
    const rotated = await client.rotateApiKey({ id, etag: '1', overlap: { seconds: 60n } });
    expect(rotated.secret).not.toBe(created.secret);
    const [newest, older] = rotated.apiKey?.secrets ?? [];
    expect(newest?.expireTime).toBeUndefined();
    expect(Number(older?.expireTime?.seconds)).toBeGreaterThanOrEqual(Math.floor(NOW / 1000) + 60);
    expect(await refusalOf(client.rotateApiKey({ id, etag: '1' }))).toMatchObject({ code: 'Aborted' });
    const revoked = await client.revokeApiKey({ id });
    expect(revoked.apiKey?.revokeTime).toBeDefined();
    expect((await client.revokeApiKey({ id })).apiKey).toEqual(revoked.apiKey);
    expect(await refusalOf(client.updateApiKey({ id, displayName: 'x' }))).toMatchObject({
      code: 'FailedPrecondition',
    });
  });

  it('is seen by its owner and by admins, and by nobody else', async () => {
    const user = await addUser(gateway.store, gateway.admin.projectId, 'bob', ['gateway:read', 'gateway:write']);
    const bob = gateway.as(user, ApiKeyService);
    const admin = gateway.as(gateway.admin, ApiKeyService);
    const adminKey = await admin.createApiKey({ scopes: [Scope.ADMIN] });
    const bobKey = await bob.createApiKey({ scopes: [Scope.GATEWAY_READ] });
    const id = adminKey.apiKey?.id ?? '';
    for (const request of [
      bob.getApiKey({ id }),
      bob.rotateApiKey({ id }),
      bob.revokeApiKey({ id }),
      bob.updateApiKey({ id }),
    ]) {
      expect(await refusalOf(request)).toMatchObject({ code: 'PermissionDenied' });
    }
    expect((await bob.listApiKeys({})).apiKeys).toEqual([bobKey.apiKey]);
    expect((await admin.listApiKeys({})).apiKeys).toEqual([adminKey.apiKey, bobKey.apiKey]);
    expect((await admin.listApiKeys({ ownerId: user.id })).apiKeys).toEqual([bobKey.apiKey]);
    const stranger = gateway.as(gateway.otherAdmin, ApiKeyService);
    expect(await refusalOf(stranger.getApiKey({ id }))).toMatchObject({ code: 'PermissionDenied' });
    expect((await stranger.listApiKeys({})).apiKeys).toEqual([]);
  });

  it('cannot expire in the past or grant an upstream that is not there', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const past = client.createApiKey({ scopes: [Scope.ADMIN], expireTime: timestampFromMs(NOW - 1000) });
    expect((await refusalOf(past)).violations).toMatchObject([{ field: 'expire_time' }]);
    const upstreamIds = ['0199aaaa-0000-7000-8000-000000000000'];
    const unknown = client.createApiKey({ scopes: [Scope.ADMIN], grants: { upstreamIds } });
    expect((await refusalOf(unknown)).violations).toMatchObject([{ field: 'grants.upstream_ids[0]' }]);
  });
});

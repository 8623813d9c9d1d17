import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { openDatabase } from '../../src/db/store.ts';
import type { ApiKeyId } from '../../src/domain/ids.ts';
import { createTestDatabaseUrl } from '../support/postgres.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

describe('a creation with a request id', () => {
  const newKey = { requestId: 'key-1', displayName: 'CI', scopes: [Scope.TOOLS_CALL] };

  it('answers a repeat with the first answer, its secret included', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const first = await client.createApiKey(newKey);
    expect(await client.createApiKey(newKey)).toEqual(first);
    expect((await client.listApiKeys({})).apiKeys).toHaveLength(1);
  });

  it('makes one resource when repeats run at once', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.createApiKey(newKey)));
    expect(new Set(answers.map(({ secret }) => secret)).size).toBe(1);
    expect((await client.listApiKeys({})).apiKeys).toHaveLength(1);
  });

  it('makes one resource when repeats reach two replicas at once', async () => {
    const url = await createTestDatabaseUrl();
    const first = await createInstallation({ store: await openDatabase({ kind: 'postgres', url }) });
    const second = await createInstallation({ store: await openDatabase({ kind: 'postgres', url }) });
    try {
      const clients = [first, second].map((replica) => replica.as(replica.admin, ApiKeyService));
      const requests = clients.flatMap((client) => Array.from({ length: 4 }, () => client.createApiKey(newKey)));
      const answers = await Promise.all(requests);
      expect(new Set(answers.map(({ secret }) => secret)).size).toBe(1);
      expect((await clients[0]?.listApiKeys({}))?.apiKeys).toHaveLength(1);
    } finally {
      await first.close();
      await second.close();
    }
  });

  it('is refused with other content', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    await client.createApiKey(newKey);
    expect(await refusalOf(client.createApiKey({ ...newKey, displayName: 'other' }))).toMatchObject({
      code: 'AlreadyExists',
      reason: 'ERROR_REASON_ALREADY_EXISTS',
      metadata: { field: 'request_id' },
    });
  });

  it('never tells the secret to another credential, not even of the same user', async () => {
    await gateway.as(gateway.admin, ApiKeyService).createApiKey(newKey);
    const otherKey = { ...gateway.admin, apiKeyId: 'another-key' as ApiKeyId };
    const refusal = await refusalOf(gateway.as(otherKey, ApiKeyService).createApiKey(newKey));
    expect(refusal).toMatchObject({ code: 'AlreadyExists', metadata: { field: 'request_id' } });
  });

  it('is kept apart for each method', async () => {
    await gateway.as(gateway.admin, ApiKeyService).createApiKey(newKey);
    const user = { requestId: 'key-1', username: 'ann', password: 'a long password', scopes: [Scope.TOOLS_CALL] };
    expect((await gateway.as(gateway.admin, AuthService).createUser(user)).user?.username).toBe('ann');
  });

  it('repeats a rotation without rotating twice', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const { apiKey } = await client.createApiKey(newKey);
    const rotation = { requestId: 'rotation-1', id: apiKey?.id ?? '' };
    const first = await client.rotateApiKey(rotation);
    expect(await client.rotateApiKey(rotation)).toEqual(first);
    expect((await client.getApiKey({ id: rotation.id })).apiKey?.secrets).toHaveLength(2);
  });

  it('stores nothing that shows the secret or lets the password be guessed', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    const { secret } = await client.createApiKey(newKey);
    const { db } = gateway.store;
    const [first] = await db.selectFrom('create_requests').selectAll().execute();
    expect(JSON.stringify(first)).not.toContain(secret);
    await db.deleteFrom('create_requests').execute();
    await client.createApiKey(newKey);
    const [second] = await db.selectFrom('create_requests').selectAll().execute();
    expect(second?.request_hash).not.toBe(first?.request_hash);
  });

  it('keeps no answer of a creation that failed', async () => {
    const client = gateway.as(gateway.admin, ProjectService);
    const refusal = await refusalOf(client.createProject({ requestId: 'project-1', slug: 'other' }));
    expect(refusal).toMatchObject({ code: 'AlreadyExists' });
    const { project } = await client.createProject({ requestId: 'project-1', slug: 'free' });
    expect(project?.slug).toBe('free');
  });

  it('is a new creation every time without one', async () => {
    const client = gateway.as(gateway.admin, ApiKeyService);
    await client.createApiKey({ ...newKey, requestId: '' });
    await client.createApiKey({ ...newKey, requestId: '' });
    expect((await client.listApiKeys({})).apiKeys).toHaveLength(2);
  });
});

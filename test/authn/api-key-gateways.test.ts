import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ApiKeyUpdate,
  addApiKey,
  changeApiKey,
  type NewApiKey,
  rotateApiKey,
} from '../../src/authn/api-key-service.ts';
import { type ApiKeyRecord, findApiKey } from '../../src/db/api-keys.ts';
import { insertGateway } from '../../src/db/gateways.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { GatewayId, ProjectId, UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { gateway, project, UPSTREAM } from '../store/samples.ts';
import { type Clock, createClock, createInstallation, DATABASES, principal, write } from './installation.ts';

const OTHER_PROJECT = 'project-2' as ProjectId;
const SHARED = 'gateway-1' as GatewayId;
const SECOND = 'gateway-2' as GatewayId;
const DELETED = 'gateway-3' as GatewayId;
const ELSEWHERE = 'gateway-4' as GatewayId;

describe.each(DATABASES)('a key with gateways among its grants on $kind', ({ createLocation }) => {
  let clock: Clock;
  let at: Awaited<ReturnType<typeof createInstallation>>;
  let admin: Principal;
  /** Reaches SHARED, and nothing else. */
  let limited: Principal;

  beforeEach(async () => {
    clock = createClock();
    at = await createInstallation(clock, await createLocation());
    const { store, projectId, user } = at;
    admin = principal(user.id, projectId, 'admin');
    limited = { ...admin, grants: new Set<UpstreamId>(), gatewayGrants: new Set([SHARED]) };
    await insertProject(store.db, project({ id: OTHER_PROJECT, slug: 'second' }));
    await insertGateway(store.db, gateway({ id: SHARED, projectId, slug: 'shared' }));
    await insertGateway(store.db, gateway({ id: SECOND, projectId, slug: 'second' }));
    await insertGateway(store.db, gateway({ id: DELETED, projectId, slug: 'deleted', deleteTime: clock.time }));
    await insertGateway(store.db, gateway({ id: ELSEWHERE, projectId: OTHER_PROJECT, slug: 'elsewhere' }));
  });
  afterEach(() => at.store.close());

  const add = (caller: Principal, changes: Partial<NewApiKey>) =>
    write(at.store, clock, (writing) =>
      addApiKey(writing, caller, {
        projectId: at.projectId,
        ownerId: admin.id,
        displayName: 'build',
        scopes: ['tools:call'],
        grants: [],
        expireTime: undefined,
        ...changes,
      }),
    );
  const targetOf = ({ id, projectId }: ApiKeyRecord) => ({ id, projectId, revision: undefined });
  const change = (caller: Principal, key: ApiKeyRecord, update: ApiKeyUpdate) =>
    write(at.store, clock, (writing) => changeApiKey(writing, caller, targetOf(key), update));

  it('is stored with them, and without any when it names none', async () => {
    const { key } = await add(admin, { gatewayGrants: [SHARED, SECOND] });
    expect(key).toMatchObject({ grants: [], gatewayGrants: [SHARED, SECOND] });
    expect(await findApiKey(at.store.db, key.id)).toStrictEqual(key);
    const { key: none } = await add(admin, { gatewayGrants: [] });
    expect(none).not.toHaveProperty('gatewayGrants');
    expect(await findApiKey(at.store.db, none.id)).toStrictEqual(none);
  });

  it('has those of the credential that made it when no grants are named', async () => {
    const { key } = await add(limited, { grants: undefined });
    expect(key).toMatchObject({ grants: [], gatewayGrants: [SHARED] });
    const { key: full } = await add(admin, { grants: undefined });
    expect(full.grants).toBe('all');
    expect(full).not.toHaveProperty('gatewayGrants');
  });

  it.each([
    ['another gateway', { gatewayGrants: [SECOND] }],
    ['one gateway more', { gatewayGrants: [SHARED, SECOND] }],
    ['an upstream', { grants: [UPSTREAM], gatewayGrants: [SHARED] }],
    ['everything', { grants: 'all' as const }],
  ])('is not a way to %s for a credential that reaches one gateway', async (_name, wider) => {
    const refusal = {
      reason: 'permission_denied',
      message:
        "You can't give grants that your credential does not have. Name only upstreams and gateways that are among its own grants.",
    };
    await expect(add(limited, wider)).rejects.toMatchObject(refusal);
    const { key } = await add(limited, { gatewayGrants: [SHARED] });
    await expect(change(limited, key, { grants: [], ...wider })).rejects.toMatchObject(refusal);
  });

  it('is not rotated by a credential that lacks one of them, which would get its secret', async () => {
    const { key } = await add(admin, { gatewayGrants: [SHARED, SECOND] });
    const rotate = (caller: Principal) =>
      write(at.store, clock, (writing) => rotateApiKey(writing, caller, targetOf(key), 0));
    await expect(rotate(limited)).rejects.toMatchObject({ reason: 'permission_denied' });
    await rotate(admin);
  });

  it.each([
    ['does not exist', 'missing' as GatewayId],
    ['is deleted', DELETED],
    ['is of another project', ELSEWHERE],
  ])('cannot name a gateway that %s', async (_name, id) => {
    const refusal = {
      reason: 'validation_failed',
      violations: [
        { field: 'grants.gateway_ids[1]', description: 'is not a gateway of the project, or it is deleted' },
      ],
    };
    await expect(add(admin, { gatewayGrants: [SHARED, id] })).rejects.toMatchObject(refusal);
    const { key } = await add(admin, { gatewayGrants: [SHARED] });
    await expect(change(admin, key, { gatewayGrants: [SHARED, id] })).rejects.toMatchObject(refusal);
    expect(await change(admin, key, { gatewayGrants: [SECOND] })).toMatchObject({ gatewayGrants: [SECOND] });
  });
});

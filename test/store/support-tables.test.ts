import { describe, expect, it } from 'vitest';
import { deleteCreateRequestsBefore, findCreateRequest, insertCreateRequest } from '../../src/db/create-requests.ts';
import { endSession, findEndedSessions, listEndedSessions } from '../../src/db/ended-sessions.ts';
import { insertProject, listProjects } from '../../src/db/projects.ts';
import { insertSigningKey, listSigningKeys, resealSigningKey, retireSigningKey } from '../../src/db/signing-keys.ts';
import type { ProjectId } from '../../src/domain/ids.ts';
import { databases, openUntilTestEnds } from './databases.ts';
import { NOW, PROJECT, project } from './samples.ts';

const request = {
  projectId: PROJECT,
  method: 'CreateProject',
  requestId: 'request-1',
  requestHash: 'hash',
  sealedResponse: 'sealed',
  createTime: NOW,
};

describe.each(databases)('what supports the faces, on $name', ({ locate }) => {
  it('keeps the first answer of a Create for its method and project', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await insertCreateRequest(db, request);

    expect(await findCreateRequest(db, PROJECT, 'CreateProject', 'request-1')).toEqual(request);
    expect(await findCreateRequest(db, PROJECT, 'CreateUser', 'request-1')).toBeUndefined();
    expect(await findCreateRequest(db, 'other' as ProjectId, 'CreateProject', 'request-1')).toBeUndefined();
    await deleteCreateRequestsBefore(db, NOW + 1);
    expect(await findCreateRequest(db, PROJECT, 'CreateProject', 'request-1')).toBeUndefined();
  });

  it('lets one of two equal Creates at the same time win, and rolls the other back', async () => {
    const { db } = await openUntilTestEnds(await locate());
    const create = (id: string) =>
      db.transaction().execute(async (trx) => {
        await insertProject(trx, project({ id: id as ProjectId, slug: id }));
        await insertCreateRequest(trx, request);
        return id;
      });

    const results = await Promise.allSettled([create('a'), create('b')]);
    const rejected = results.filter((result) => result.status === 'rejected');
    expect(rejected).toMatchObject([{ reason: { reason: 'already_exists' } }]);
    expect(await listProjects(db, { limit: 9 })).toHaveLength(1);
  });

  it('lists signing keys newest first, with the time their public part is served until', async () => {
    const { db } = await openUntilTestEnds(await locate());
    const key = { algorithm: 'ES256', publicJwk: '{}', sealedPrivateJwk: 'sealed' };
    await insertSigningKey(db, { ...key, kid: 'old', createTime: NOW });
    await insertSigningKey(db, { ...key, kid: 'new', createTime: NOW + 1 });
    await retireSigningKey(db, 'old', NOW + 60);
    await resealSigningKey(db, 'new', 'sealed again');

    expect(await listSigningKeys(db)).toStrictEqual([
      { ...key, kid: 'new', createTime: NOW + 1, sealedPrivateJwk: 'sealed again' },
      { ...key, kid: 'old', createTime: NOW, retireTime: NOW + 60 },
    ]);
  });

  it('remembers ended sessions until their tokens expire', async () => {
    const { db } = await openUntilTestEnds(await locate());
    await endSession(db, { sessionId: 's1', expireTime: NOW + 10 }, NOW);
    await endSession(db, { sessionId: 's1', expireTime: NOW + 10 }, NOW);
    await endSession(db, { sessionId: 's2', expireTime: NOW + 20 }, NOW);

    expect(await findEndedSessions(db, ['s1', 's3'])).toEqual([{ sessionId: 's1', expireTime: NOW + 10 }]);
    await endSession(db, { sessionId: 's4', expireTime: NOW + 90 }, NOW + 10);
    expect((await listEndedSessions(db, { limit: 9 })).map((session) => session.sessionId)).toEqual(['s2', 's4']);
  });
});

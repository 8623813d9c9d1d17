import { describe, expect, it, vi } from 'vitest';
import { databases, openUntilTestEnds, SOON } from './databases.ts';

const postgres = databases.filter(({ name }) => name === 'PostgreSQL');

describe.each(postgres)('messages between replicas on $name', ({ locate }) => {
  it('come to the replica that they name, in their order, and to no other', async () => {
    const location = await locate();
    const [one, two, three] = [
      await openUntilTestEnds(location),
      await openUntilTestEnds(location),
      await openUntilTestEnds(location),
    ];
    const heard: string[] = [];
    const elsewhere: string[] = [];
    two.mail.onMessage((body) => heard.push(body));
    three.mail.onMessage((body) => elsewhere.push(body));
    one.mail.onMessage((body) => elsewhere.push(body));

    for (const body of ['first', 'second', 'third']) expect(await one.mail.send(two.mail.replicaId, body)).toBe(true);

    await vi.waitFor(() => expect(heard).toEqual(['first', 'second', 'third']), SOON);
    expect(elsewhere).toEqual([]);
    expect(await one.db.selectFrom('replica_messages').selectAll().execute()).toEqual([]);
  });

  it('that are for all come to every other replica, and not back', async () => {
    const location = await locate();
    const [one, two, three] = [
      await openUntilTestEnds(location),
      await openUntilTestEnds(location),
      await openUntilTestEnds(location),
    ];
    const heard: string[] = [];
    one.mail.onMessage((body) => heard.push(`one: ${body}`));
    two.mail.onMessage((body) => heard.push(`two: ${body}`));
    three.mail.onMessage((body) => heard.push(`three: ${body}`));

    await one.mail.broadcast('stop * now');
    await two.mail.send(one.mail.replicaId, 'the last');

    await vi.waitFor(() => expect(heard).toHaveLength(3), SOON);
    expect(heard.sort()).toEqual(['one: the last', 'three: stop * now', 'two: stop * now']);
  });

  it('are removed by a later message when their replica never took them', async () => {
    const store = await openUntilTestEnds(await locate());
    const old = { id: 'old', recipient: 'gone', body: '…', create_time: Date.now() - 11 * 60_000 };
    await store.db.insertInto('replica_messages').values(old).execute();

    await store.mail.send('also-gone', 'new');

    const rows = await store.db.selectFrom('replica_messages').select('body').execute();
    expect(rows).toEqual([{ body: 'new' }]);
  });

  it('come in spite of one that a listener fails on', async () => {
    const location = await locate();
    const one = await openUntilTestEnds(location);
    const errors: unknown[] = [];
    const two = await openUntilTestEnds(location, (error) => errors.push(error));
    const heard: string[] = [];
    two.mail.onMessage((body) => {
      heard.push(body);
      if (body === 'first') throw new Error('cannot be read');
    });
    const bodies = ['first', 'second', 'third'].map((body, at) => ({
      id: `00${at}`,
      recipient: two.mail.replicaId,
      body,
      create_time: Date.now(),
    }));
    await one.db.insertInto('replica_messages').values(bodies).execute();

    await one.mail.send(two.mail.replicaId, 'fourth');

    await vi.waitFor(() => expect(heard).toEqual(['first', 'second', 'third', 'fourth']), SOON);
    expect(errors).toEqual([new Error('cannot be read')]);
  });

  it('carry a body of a mebibyte', async () => {
    const location = await locate();
    const one = await openUntilTestEnds(location);
    const two = await openUntilTestEnds(location);
    const heard: string[] = [];
    two.mail.onMessage((body) => heard.push(body));

    await one.mail.send(two.mail.replicaId, 'x'.repeat(2 ** 20));

    await vi.waitFor(() => expect(heard.map(({ length }) => length)).toEqual([2 ** 20]), SOON);
  });
});

it('has nobody to send to where one process has the database alone', async () => {
  const store = await openUntilTestEnds({ kind: 'memory' });
  expect(await store.mail.send('another', 'hello')).toBe(false);
});

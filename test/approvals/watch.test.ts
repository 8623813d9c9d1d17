import { describe, expect, it } from 'vitest';
import { createApprovalWatch } from '../../src/approvals/approval-watch.ts';
import type { ApprovalEvent, ApprovalWatchRequest } from '../../src/approvals/approvals.ts';
import type { CallId } from '../../src/domain/ids.ts';
import { databases } from '../store/databases.ts';
import { ann, bob, key, PROJECT, requirement } from './samples.ts';
import { newApproval, openFirstReplica, openReplica, otherCall, type Replica } from './store.ts';

const yes = { approve: true, comment: '' };
const no = { approve: false, comment: '' };

/** A watch that polls and beats fast; `next` waits for approvals, checkpoints left out. */
function openWatch(replica: Replica, change: Partial<ApprovalWatchRequest> = {}, heartbeatMs = 60_000) {
  const stop = new AbortController();
  const watch = createApprovalWatch({
    store: replica.store,
    onChange: () => () => {},
    now: () => replica.clock.time,
    heartbeatMs,
    pollMs: 5,
  });
  const request = {
    projectId: PROJECT,
    filter: {},
    position: 0,
    authorize: async () => undefined,
    signal: stop.signal,
  };
  const events = watch({ ...request, ...change })[Symbol.asyncIterator]();
  const nextEvent = async (): Promise<ApprovalEvent> => {
    const { value, done } = await events.next();
    if (done === true) throw new Error('the watch ended');
    return value;
  };
  return {
    nextEvent,
    async next(count: number) {
      const seen: { id: string; state: string; position: number }[] = [];
      while (seen.length < count) {
        const event = await nextEvent();
        if (event.kind === 'approval')
          seen.push({ id: event.approval.id, state: event.approval.state, position: event.position });
      }
      return seen;
    },
    async end() {
      stop.abort();
      await events.return?.(undefined);
    },
  };
}

describe.each(databases)('a watch of approvals on $name', ({ locate }) => {
  it('begins with those that are there, tells that there are no more, and goes on with every change', async () => {
    const replica = await openFirstReplica(await locate());
    const { approvals } = replica;
    const a = await approvals.create(newApproval(otherCall(1)));
    const b = await approvals.create(newApproval(otherCall(2)));
    await approvals.vote(PROJECT, a.id, ann, yes);
    const watch = openWatch(replica);
    expect((await watch.next(2)).map(({ id, state }) => [id, state])).toEqual([
      [b.id, 'pending'],
      [a.id, 'approved'],
    ]);
    await approvals.vote(PROJECT, b.id, ann, no);
    const { approved } = await approvals.find({ ...key, ...otherCall(1) });
    for (const one of approved) await approvals.take(one, 'call' as CallId);
    expect((await watch.next(2)).map(({ id, state }) => [id, state])).toEqual([
      [b.id, 'denied'],
      [a.id, 'consumed'],
    ]);
    await watch.end();
  });

  it('says at once that it is alive when there is nothing, and again after quiet', async () => {
    const replica = await openFirstReplica(await locate());
    const watch = openWatch(replica, {}, 20);
    for (let n = 0; n < 3; n++) expect(await watch.nextEvent()).toEqual({ kind: 'checkpoint', position: 0 });
    await replica.approvals.create(newApproval());
    await watch.next(1);
    expect(await watch.nextEvent()).toEqual({ kind: 'checkpoint', position: 1 });
    await watch.end();
  });

  it('goes on after any position it gave, with nothing missed and nothing twice', async () => {
    const replica = await openFirstReplica(await locate());
    const made = [];
    for (let n = 0; n < 5; n++) made.push(await replica.approvals.create(newApproval(otherCall(n))));
    const first = openWatch(replica);
    const seen = await first.next(3);
    await first.end();
    const second = openWatch(replica, { position: seen.at(-1)?.position ?? 0 });
    expect([...seen, ...(await second.next(2))].map(({ id }) => id)).toEqual(made.map(({ id }) => id));
    await second.end();
  });

  it('sends what fits the filter as it is after the change, and checkpoints that skip the rest', async () => {
    const replica = await openFirstReplica(await locate());
    const { approvals } = replica;
    const a = await approvals.create(newApproval(otherCall(1)));
    const b = await approvals.create(newApproval(otherCall(2)));
    const other = await approvals.create(newApproval({ upstreamSlug: 'files', principalId: ann.id, tool: 'rm' }));
    await approvals.vote(PROJECT, a.id, ann, yes);
    const one = async (change: Partial<ApprovalWatchRequest>) => {
      const watch = openWatch(replica, change);
      const seen = [];
      for (let event = await watch.nextEvent(); event.kind === 'approval'; event = await watch.nextEvent())
        seen.push(event.approval.id);
      const later = await approvals.create(newApproval({ upstreamSlug: 'files', tool: 'unseen', principalId: bob.id }));
      await approvals.vote(PROJECT, later.id, ann, no);
      await watch.end();
      return seen;
    };
    expect(await one({ filter: { state: 'pending', requesterId: key.principalId } })).toEqual([b.id]);
    expect(await one({ filter: { state: 'approved' } })).toEqual([a.id]);
    expect(await one({ filter: { tool: 'rm' } })).toEqual([other.id]);
    expect(await one({ authorize: async () => ({ requesterId: ann.id, upstreamSlugs: [] }) })).toEqual([other.id]);
    const head = await approvals.head();
    const watch = openWatch(replica, { filter: { tool: 'nothing' } });
    expect(await watch.nextEvent()).toEqual({ kind: 'checkpoint', position: head });
    await watch.end();
  });

  it('ends when its caller may not watch any more', async () => {
    const replica = await openFirstReplica(await locate());
    let isAllowed = true;
    const watch = openWatch(replica, {
      async authorize() {
        if (!isAllowed) throw new Error('not any more');
        return undefined;
      },
    });
    await watch.nextEvent();
    isAllowed = false;
    await replica.approvals.create(newApproval());
    await expect(watch.nextEvent()).rejects.toThrow('not any more');
  });

  it('sends every approval at least in its last state, in commit order, while two replicas write', async () => {
    const location = await locate();
    const replica = await openFirstReplica(location);
    const other = location.kind === 'postgres' ? await openReplica(location, replica.clock) : replica;
    const watch = openWatch(replica);
    const work = Array.from({ length: 40 }, async (_, n) => {
      const writer = n % 2 === 0 ? replica : other;
      const { id } = await writer.approvals.create(
        newApproval({ ...otherCall(n), requirements: [requirement({ requiredApprovals: 2 })] }),
      );
      await writer.approvals.vote(PROJECT, id, ann, yes);
      await (n % 3 === 0 ? other : replica).approvals.vote(PROJECT, id, bob, n % 4 === 0 ? no : yes);
    });
    const last = new Map<string, string>();
    let position = 0;
    const isDone = () => last.size === 40 && [...last.values()].every((state) => state !== 'pending');
    while (!isDone()) {
      const [event] = await watch.next(1);
      expect(event?.position).toBeGreaterThan(position);
      position = event?.position ?? 0;
      last.set(event?.id ?? '', event?.state ?? '');
    }
    await Promise.all(work);
    await watch.end();
    expect([...last.values()].filter((state) => state === 'denied')).toHaveLength(10);
  });
});

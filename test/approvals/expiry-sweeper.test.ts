import { describe, expect, it, vi } from 'vitest';
import { startExpirySweeper } from '../../src/approvals/expiry-sweeper.ts';
import { findApproval } from '../../src/db/approvals.ts';
import { readChangesSince } from '../../src/db/config-changes.ts';
import { listDueDeliveries } from '../../src/db/webhook-deliveries.ts';
import { databases, SOON } from '../store/databases.ts';
import { ann, HOUR, NOW, PROJECT } from './samples.ts';
import { newApproval, openFirstReplica, openReplica, otherCall, type Replica } from './store.ts';

const WEBHOOK = { approvalWebhook: { url: 'https://example.com', sealedSecret: 'sealed' } };

function startSweeper({ store, clock }: Replica) {
  const onError = vi.fn<(error: unknown) => void>();
  return { onError, ...startExpirySweeper({ store, now: () => clock.time, onError, everyMs: 5 }) };
}

describe.each(databases)('the sweeper of expired approvals on $name', ({ locate }) => {
  it('writes each one once, however many replicas sweep, and tells of it', async () => {
    const location = await locate();
    const first = await openFirstReplica(location, WEBHOOK);
    const second = location.kind === 'postgres' ? await openReplica(location, first.clock) : first;
    const { approvals, store, clock } = first;
    const ids = [];
    for (let n = 0; n < 60; n++) ids.push((await approvals.create(newApproval(otherCall(n)))).id);
    const approved = await approvals.create(newApproval(otherCall(60)));
    await approvals.vote(PROJECT, approved.id, ann, { approve: true, comment: '' });
    const denied = await approvals.create(newApproval(otherCall(61)));
    await approvals.cancel(denied.id, '');
    const later = await approvals.create(newApproval({ ...otherCall(62), expireAfterMs: HOUR + 1 }));
    const before = await approvals.head();
    clock.time = NOW + HOUR;
    const sweepers = [startSweeper(first), startSweeper(second), startSweeper(first)];
    await vi.waitFor(async () => expect(await approvals.head()).toBeGreaterThanOrEqual(before + 61), SOON);
    await Promise.all(sweepers.map(({ close }) => close()));

    expect((await readChangesSince(store.db, before))?.map(({ entityId }) => entityId).toSorted()).toEqual(
      [...ids, approved.id].toSorted(),
    );
    expect(await findApproval(store.db, approved.id)).toMatchObject({ state: 'expired', updateTime: NOW + HOUR });
    expect((await findApproval(store.db, denied.id))?.state).toBe('denied');
    expect((await findApproval(store.db, later.id))?.state).toBe('pending');
    const events = await listDueDeliveries(store.db, { now: clock.time, exceptProjects: [], limit: 999 });
    expect(events.filter(({ body }) => body.includes('"type":"approval.expired"'))).toHaveLength(61);
    for (const { onError } of sweepers) expect(onError).not.toHaveBeenCalled();
  });

  it('goes on after a failure, and leaves alone what a clock that jumped back has not ended', async () => {
    const replica = await openFirstReplica(await locate());
    const { approvals, clock, store } = replica;
    const { id } = await approvals.create(newApproval());
    let isBroken = true;
    const onError = vi.fn<(error: unknown) => void>();
    const now = () => {
      if (isBroken) throw new Error('no clock');
      return clock.time;
    };
    const sweeper = startExpirySweeper({ store, now, onError, everyMs: 5 });
    await vi.waitFor(() => expect(onError).toHaveBeenCalled(), SOON);
    clock.time = NOW - HOUR;
    isBroken = false;
    sweeper.wake();
    await sweeper.close();
    expect((await findApproval(store.db, id))?.state).toBe('pending');
    clock.time = NOW + HOUR;
    const again = startSweeper(replica);
    await vi.waitFor(async () => expect((await findApproval(store.db, id))?.state).toBe('expired'), SOON);
    await again.close();
  });
});

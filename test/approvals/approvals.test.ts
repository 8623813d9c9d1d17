import { describe, expect, it } from 'vitest';
import type { Approvals } from '../../src/approvals/approvals.ts';
import { listDueDeliveries } from '../../src/db/webhook-deliveries.ts';
import type { Approval, ApprovalKey } from '../../src/domain/approval.ts';
import { type ApprovalId, type CallId, newId, type PrincipalId, type ProjectId } from '../../src/domain/ids.ts';
import { databases } from '../store/databases.ts';
import { ann, bob, cyd, HOUR, key, NOW, PROJECT, REQUESTER, requirement, self } from './samples.ts';
import { joinReplica, newApproval, openFirstReplica, openReplica, otherCall } from './store.ts';

const yes = { approve: true, comment: '' };
const no = { approve: false, comment: 'no' };
const CALL = '0199aaaa-0000-7000-8000-00000000ca11' as CallId;

describe.each(databases)('approvals on $name', ({ locate }) => {
  /** One replica, or two stores where the database can have two. */
  async function openTwo() {
    const location = await locate();
    const first = await openFirstReplica(location);
    const second =
      location.kind === 'postgres'
        ? await openReplica(location, first.clock)
        : { ...first, ...joinReplica(first.store, first.clock) };
    return { first, second };
  }

  it('are made pending, with arguments masked, and read back as they were made', async () => {
    const { approvals } = await openFirstReplica(await locate(), { redactedKeys: ['iban'] });
    const input = newApproval({
      arguments: { to: { IBAN: 'DE1' }, amount: JSON.rawJSON('12345678901234567890'), list: [{ api_key: 1 }] },
      requester: { kind: 'agent', name: 'robot', keyPrefix: 'pc_aaaaaaaa' },
    });
    const made = await approvals.create(input);
    expect(made).toMatchObject({
      ...key,
      id: input.id,
      callId: input.callId,
      state: 'pending',
      requester: { kind: 'agent', name: 'robot', keyPrefix: 'pc_aaaaaaaa' },
      argumentsJson: '{"to":{"IBAN":"[redacted]"},"amount":12345678901234567890,"list":[{"api_key":"[redacted]"}]}',
      argumentsRedacted: true,
      ruleIds: ['payments/large'],
      requirements: [requirement()],
      votes: [],
      expireTime: NOW + HOUR,
      createTime: NOW,
      updateTime: NOW,
    });
    expect(await approvals.get(PROJECT, made.id)).toEqual(made);
    expect(await approvals.get('another' as ProjectId, made.id)).toBeUndefined();
    expect(await approvals.get(PROJECT, 'nothing')).toBeUndefined();
  });

  it('keep no arguments where the project keeps none or there are none, and 64 KiB at most', async () => {
    const none = await openFirstReplica(await locate(), { recordedArguments: 'none' });
    const { arguments: _, ...withoutArguments } = newApproval();
    for (const input of [newApproval(), withoutArguments]) {
      const made = await none.approvals.create(input);
      expect(made.argumentsRedacted).toBe(false);
      expect(made).not.toHaveProperty('argumentsJson');
    }
    const { approvals } = await openFirstReplica(await locate(), { recordedArguments: 'full' });
    const full = await approvals.create(newApproval({ arguments: { password: 'x', text: 'y'.repeat(10_000) } }));
    expect(full.argumentsJson).toBe(`{"password":"[redacted]","text":"${'y'.repeat(10_000)}"}`);
    const cut = await approvals.create(newApproval({ arguments: { text: '🏰'.repeat(70_000) } }));
    expect(cut.argumentsRedacted).toBe(true);
    expect(JSON.parse(cut.argumentsJson ?? '').truncated).toHaveLength(65_536);
    expect(await approvals.get(PROJECT, cut.id)).toEqual(cut);
  });

  it('are found by the call they are for, and by no other', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const made = await approvals.create(newApproval());
    expect(await takeOldest(approvals, key, CALL)).toEqual({ pending: [made], exhausted: false });
    const others: Partial<typeof key>[] = [
      { principalId: ann.id },
      { tool: 'pay2' },
      { upstreamSlug: '' },
      { method: 'prompts/get' },
      { projectId: 'another' as ProjectId },
      otherCall(1),
    ];
    for (const other of others) {
      expect(await takeOldest(approvals, { ...key, ...other }, CALL)).toEqual({ pending: [], exhausted: false });
    }
  });

  it('are told apart by names that the database can not store', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const made = await approvals.create(newApproval({ tool: 'pay\0\uD800' }));
    expect(made.tool).toBe('pay\0\uD800');
    expect((await takeOldest(approvals, { ...key, tool: 'pay\0\uD800' }, CALL)).pending).toEqual([made]);
    expect((await takeOldest(approvals, { ...key, tool: 'pay\uFFFD\uFFFD' }, CALL)).pending).toEqual([]);
    expect((await takeOldest(approvals, { ...key, tool: 'pay\0\uFFFD' }, CALL)).pending).toEqual([]);
  });

  it('are taken by one call once they are approved, and by no second one', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval());
    await approvals.vote(PROJECT, id, ann, yes);
    expect((await takeOldest(approvals, { ...key, ...otherCall(1) }, CALL)).approved).toBeUndefined();
    const taken = await takeOldest(approvals, key, CALL);
    expect(taken).toMatchObject({ approved: { id, state: 'consumed', consumeCallId: CALL }, pending: [] });
    expect(await takeOldest(approvals, key, newId<CallId>())).toEqual({ pending: [], exhausted: false });
    expect(await approvals.get(PROJECT, id)).toMatchObject({ state: 'consumed', consumeCallId: CALL });
  });

  it('are taken in the order in which they were made', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const ids = [];
    for (let n = 0; n < 3; n++) {
      ids.push((await approvals.create(newApproval({ id: newId<ApprovalId>(NOW + n) }))).id);
    }
    for (const id of ids.slice(0, 2).toReversed()) await approvals.vote(PROJECT, id, ann, yes);
    const taken = await takeOldest(approvals, key, CALL);
    expect([taken.approved?.id, taken.pending.map(({ id }) => id)]).toEqual([ids[0], [ids[2]]]);
    expect((await takeOldest(approvals, key, CALL)).approved?.id).toBe(ids[1]);
  });

  it('are taken by one of many equal calls at once, on any replica', async () => {
    const { first, second } = await openTwo();
    const { id } = await first.approvals.create(newApproval());
    await first.approvals.vote(PROJECT, id, ann, yes);
    const found = await Promise.all(
      Array.from({ length: 20 }, (_, n) => takeOldest((n % 2 === 0 ? first : second).approvals, key, newId<CallId>())),
    );
    const takers = found.flatMap(({ approved }) => approved ?? []);
    expect(takers).toHaveLength(1);
    expect(await first.approvals.get(PROJECT, id)).toMatchObject({ consumeCallId: takers[0]?.consumeCallId });
  });

  it('are given back by the call that took them, and by no other', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval());
    await approvals.vote(PROJECT, id, ann, yes);
    const { approved } = await takeOldest(approvals, key, CALL);
    if (approved === undefined) throw new Error('nothing was taken');
    await approvals.release({ ...approved, consumeCallId: newId<CallId>() });
    expect((await approvals.get(PROJECT, id))?.state).toBe('consumed');
    await approvals.release(approved);
    const released = await approvals.get(PROJECT, id);
    expect(released?.state).toBe('approved');
    expect(released).not.toHaveProperty('consumeCallId');
    const next = newId<CallId>();
    expect((await takeOldest(approvals, key, next)).approved?.consumeCallId).toBe(next);
    await approvals.release(approved);
    expect((await approvals.get(PROJECT, id))?.consumeCallId).toBe(next);
  });

  it('can be answered and used until the millisecond before their end, whatever the clock does', async () => {
    const { approvals, clock } = await openFirstReplica(await locate());
    const [waiting, approved] = [
      await approvals.create(newApproval()),
      await approvals.create(newApproval(otherCall(1))),
    ];
    await approvals.vote(PROJECT, approved.id, ann, yes);
    clock.time = NOW + HOUR - 1;
    expect((await takeOldest(approvals, key, CALL)).pending).toHaveLength(1);
    clock.time = NOW + HOUR;
    expect(await takeOldest(approvals, key, CALL)).toEqual({ pending: [], exhausted: false });
    expect((await takeOldest(approvals, { ...key, ...otherCall(1) }, CALL)).approved).toBeUndefined();
    expect((await approvals.get(PROJECT, waiting.id))?.state).toBe('expired');
    expect((await approvals.get(PROJECT, approved.id))?.state).toBe('expired');
    await expect(approvals.vote(PROJECT, waiting.id, ann, yes)).rejects.toMatchObject({
      reason: 'failed_precondition',
      metadata: { id: waiting.id, state: 'expired' },
    });
    clock.time = NOW - HOUR;
    expect((await takeOldest(approvals, { ...key, ...otherCall(1) }, CALL)).approved).toMatchObject({
      updateTime: NOW,
    });
  });

  it('are answered by the first of two approvers who disagree, on any replica', async () => {
    const { first, second } = await openTwo();
    for (let round = 0; round < 10; round++) {
      const { id } = await first.approvals.create(newApproval(otherCall(round)));
      const answers = await Promise.allSettled([
        first.approvals.vote(PROJECT, id, ann, yes),
        second.approvals.vote(PROJECT, id, bob, no),
      ]);
      const stored = await first.approvals.get(PROJECT, id);
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(stored?.votes).toHaveLength(1);
      expect(stored?.state).toBe(answers[0].status === 'fulfilled' ? 'approved' : 'denied');
    }
  });

  it('count every one of several approvers at once', async () => {
    const { first, second } = await openTwo();
    const { id } = await first.approvals.create(newApproval({ requirements: [requirement({ requiredApprovals: 3 })] }));
    const answers = await Promise.all([
      first.approvals.vote(PROJECT, id, ann, yes),
      second.approvals.vote(PROJECT, id, bob, yes),
      first.approvals.vote(PROJECT, id, cyd, yes),
      second.approvals.vote(PROJECT, id, ann, yes),
    ]);
    expect(answers.filter(({ state }) => state === 'approved').length).toBeGreaterThanOrEqual(1);
    const stored = await second.approvals.get(PROJECT, id);
    expect(stored?.state).toBe('approved');
    expect(new Set(stored?.votes.map(({ principalId }) => principalId))).toEqual(new Set([ann.id, bob.id, cyd.id]));
    expect(stored?.votes).toHaveLength(3);
  });

  it('keep what hostile commenters write, and when the state changed', async () => {
    const { approvals, clock } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval({ requirements: [requirement({ requiredApprovals: 2 })] }));
    const comment = `'; drop table approvals; -- \0 \uD800 🏰 </script>`;
    clock.time = NOW + 10;
    const voted = await approvals.vote(PROJECT, id, ann, { approve: true, comment });
    expect(voted).toMatchObject({ state: 'pending', updateTime: NOW, votes: [{ comment, createTime: NOW + 10 }] });
    clock.time = NOW + 20;
    expect(await approvals.vote(PROJECT, id, bob, yes)).toMatchObject({ state: 'approved', updateTime: NOW + 20 });
    expect((await approvals.get(PROJECT, id))?.votes[0]?.comment).toBe(comment);
  });

  it('write nothing for an answer that is repeated', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval());
    const answered = await approvals.vote(PROJECT, id, ann, yes);
    const head = await approvals.head();
    expect(await approvals.vote(PROJECT, id, ann, { approve: true, comment: 'again' })).toEqual(answered);
    expect(await approvals.head()).toBe(head);
  });

  it('are answered by nobody who may not see them', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval());
    const hidden = {
      reason: 'permission_denied',
      message: `The credential has no access to the approval "${id}" (or it might not exist).`,
    };
    await expect(approvals.vote('another' as ProjectId, id, ann, yes)).rejects.toMatchObject(hidden);
    const narrow = { requesterId: ann.id, upstreamSlugs: ['files'] };
    await expect(approvals.vote(PROJECT, id, ann, yes, narrow)).rejects.toMatchObject(hidden);
    const wide = { requesterId: ann.id, upstreamSlugs: ['bank'] };
    expect((await approvals.vote(PROJECT, id, ann, yes, wide)).state).toBe('approved');
  });

  it('are answered all together or not at all', async () => {
    const { approvals } = await openFirstReplica(await locate(), {
      approvalWebhook: { url: 'https://example.com', sealedSecret: 'sealed' },
    });
    const made = [];
    for (let n = 0; n < 3; n++) made.push(await approvals.create(newApproval(otherCall(n))));
    const own = await approvals.create(newApproval({ principalId: ann.id, requester: { kind: 'user', name: 'a11' } }));
    const [a, b, c] = made.map(({ id }) => id);
    const resolutions = [a, b, c].map((id, n) => ({ id: id as ApprovalId, approve: n !== 1, comment: `${n}` }));
    const head = await approvals.head();
    const refused = approvals.resolveAll(
      PROJECT,
      [...resolutions.slice(0, 2), { id: own.id, ...yes }, ...resolutions.slice(2)],
      ann,
    );
    await expect(refused).rejects.toMatchObject({ reason: 'permission_denied', metadata: { id: own.id } });
    const missing = newId<ApprovalId>();
    await expect(approvals.resolveAll(PROJECT, [...resolutions, { id: missing, ...yes }], ann)).rejects.toMatchObject({
      metadata: { id: missing },
    });
    expect(await approvals.head()).toBe(head);
    expect(
      new Set(
        (await approvals.list({ projectId: PROJECT, filter: {}, beforeId: undefined, limit: 9 })).map(
          ({ state }) => state,
        ),
      ),
    ).toEqual(new Set(['pending']));

    const answered = await approvals.resolveAll(PROJECT, resolutions, ann);
    expect(answered.map(({ id, state }) => [id, state])).toEqual([
      [a, 'approved'],
      [b, 'denied'],
      [c, 'approved'],
    ]);
    expect(await approvals.resolveAll(PROJECT, resolutions, ann)).toEqual(answered);
  });

  it('of one requester are 100 at most while they are pending, also when many come at once', async () => {
    const { first, second } = await openTwo();
    const creating = Array.from({ length: 110 }, (_, n) =>
      (n % 2 === 0 ? first : second).approvals.create(newApproval(otherCall(n))),
    );
    const made = await Promise.allSettled(creating);
    const refused = made.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(10);
    expect(refused[0]?.reason).toMatchObject({ reason: 'failed_precondition' });
    expect(await takeOldest(first.approvals, { ...key, ...otherCall(999) }, CALL)).toEqual({
      pending: [],
      exhausted: true,
    });
    await second.approvals.create(newApproval({ principalId: ann.id }));
    const [{ id } = { id: '' as ApprovalId }] = await first.approvals.list({
      projectId: PROJECT,
      filter: { requesterId: REQUESTER },
      beforeId: undefined,
      limit: 1,
    });
    await first.approvals.vote(PROJECT, id, ann, no);
    expect((await takeOldest(first.approvals, { ...key, ...otherCall(999) }, CALL)).exhausted).toBe(false);
    first.clock.time = NOW + HOUR;
    await first.approvals.create(newApproval(otherCall(998)));
  });

  it('are denied by their requester, unless they were answered before', async () => {
    const { approvals, clock } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval());
    await approvals.cancel(id, 'Declined by the client.');
    expect(await approvals.get(PROJECT, id)).toMatchObject({
      state: 'denied',
      votes: [
        { kind: 'agent', principalId: REQUESTER, name: 'robot', approved: false, comment: 'Declined by the client.' },
      ],
    });
    const approved = await approvals.create(newApproval());
    await approvals.vote(PROJECT, approved.id, ann, yes);
    await approvals.cancel(approved.id, 'late');
    expect((await approvals.get(PROJECT, approved.id))?.state).toBe('approved');
    const expired = await approvals.create(newApproval());
    clock.time = NOW + HOUR;
    const head = await approvals.head();
    await approvals.cancel(expired.id, 'late');
    await approvals.cancel(newId<ApprovalId>(), 'nothing');
    expect(await approvals.head()).toBe(head);
  });

  it('are listed newest first, as they read now, to those who may see them', async () => {
    const { approvals, clock } = await openFirstReplica(await locate());
    const made: Approval[] = [];
    for (let n = 0; n < 5; n++)
      made.push(await approvals.create(newApproval({ ...otherCall(n), id: newId<ApprovalId>(NOW + n) })));
    const [a, b, c, d, e] = made.map(({ id }) => id as string);
    const other = await approvals.create(
      newApproval({
        upstreamSlug: 'files',
        tool: 'rm\0',
        principalId: ann.id,
        id: newId<ApprovalId>(NOW + 9),
        expireAfterMs: 9 * HOUR,
      }),
    );
    await approvals.vote(PROJECT, a as ApprovalId, ann, yes);
    await approvals.vote(PROJECT, b as ApprovalId, ann, no);
    await approvals.vote(PROJECT, c as ApprovalId, ann, yes);
    await takeOldest(approvals, { ...key, ...otherCall(2) }, CALL);
    const ids = async (filter: Parameters<typeof approvals.list>[0]['filter'], beforeId?: string, limit = 50) =>
      (await approvals.list({ projectId: PROJECT, filter, beforeId, limit })).map(({ id }) => id);
    expect(await ids({})).toEqual([other.id, e, d, c, b, a]);
    expect(await ids({}, d, 2)).toEqual([c, b]);
    expect(await ids({ state: 'pending' })).toEqual([other.id, e, d]);
    expect(await ids({ state: 'approved' })).toEqual([a]);
    expect(await ids({ state: 'denied' })).toEqual([b]);
    expect(await ids({ state: 'consumed' })).toEqual([c]);
    expect(await ids({ state: 'expired' })).toEqual([]);
    expect(await ids({ requesterId: ann.id })).toEqual([other.id]);
    expect(await ids({ tool: 'rm\0' })).toEqual([other.id]);
    expect(await ids({ tool: "pay' or 1=1" })).toEqual([]);
    expect(await ids({ visibility: { requesterId: ann.id, upstreamSlugs: [] } })).toEqual([other.id]);
    expect(await ids({ visibility: { requesterId: bob.id, upstreamSlugs: [] } })).toEqual([]);
    expect(await ids({ visibility: { requesterId: ann.id, upstreamSlugs: ['bank'] }, state: 'pending' })).toEqual([
      other.id,
      e,
      d,
    ]);
    clock.time = NOW + HOUR;
    expect(await ids({ state: 'expired' })).toEqual([e, d, a]);
    expect(await ids({ state: 'pending' })).toEqual([other.id]);
  });

  it('tell those who wait on another replica', async () => {
    const { first, second } = await openTwo();
    const { id } = await first.approvals.create(newApproval());
    const wait = second.approvals.wait(id, NOW + HOUR, new AbortController().signal);
    await first.approvals.vote(PROJECT, id, ann, yes);
    second.ring(id);
    expect((await wait).state).toBe('approved');
  });

  it('are asked for only in a project that exists', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const gone = newApproval({ projectId: 'gone' as ProjectId, principalId: 'x' as PrincipalId });
    await expect(approvals.create(gone)).rejects.toMatchObject({ reason: 'not_found' });
  });

  it('leave an event in the outbox for each change, in the transaction of the change', async () => {
    const { approvals, store } = await openFirstReplica(await locate(), {
      approvalWebhook: { url: 'https://example.com', sealedSecret: 'sealed' },
    });
    const { id } = await approvals.create(newApproval({ requirements: [requirement({ requiredApprovals: 2 })] }));
    await approvals.vote(PROJECT, id, ann, yes);
    await approvals.vote(PROJECT, id, ann, yes);
    await expect(approvals.vote(PROJECT, id, self, yes)).rejects.toMatchObject({ reason: 'permission_denied' });
    await approvals.vote(PROJECT, id, bob, yes);
    const { approved } = await takeOldest(approvals, key, CALL);
    if (approved !== undefined) await approvals.release(approved);
    const denied = await approvals.create(newApproval());
    await approvals.cancel(denied.id, '');
    const due = await listDueDeliveries(store.db, { now: NOW, exceptProjects: [], limit: 99 });
    const types = (approvalId: string) =>
      due
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .filter((delivery) => delivery.approvalId === approvalId)
        .map(({ body }) => JSON.parse(body).type);
    expect(new Set(types(id))).toEqual(
      new Set(['approval.created', 'approval.voted', 'approval.approved', 'approval.consumed', 'approval.released']),
    );
    expect(types(id)).toHaveLength(5);
    expect(new Set(types(denied.id))).toEqual(new Set(['approval.created', 'approval.denied']));
    expect(new Set(due.map((delivery) => delivery.id)).size).toBe(7);
  });
});

/** What a call does that uses the oldest approval that is there for it. */
async function takeOldest(
  approvals: Approvals,
  of: ApprovalKey,
  callId: CallId,
): Promise<{ approved?: Approval; pending: readonly Approval[]; exhausted: boolean }> {
  const { approved, ...rest } = await approvals.find(of);
  for (const one of approved) {
    const taken = await approvals.take(one, callId);
    if (taken !== undefined) {
      return { ...rest, approved: taken };
    }
  }
  return rest;
}

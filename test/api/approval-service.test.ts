import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { ApprovalService, type WatchApprovalsResponse } from '../../gen/portcullis/v1/approval_service_pb.ts';
import { PrincipalKind } from '../../gen/portcullis/v1/principal_kind_pb.ts';
import type { Approvals, NewApproval } from '../../src/approvals/approvals.ts';
import { createApprovals } from '../../src/approvals/create-approvals.ts';
import { withChange } from '../../src/db/config-changes.ts';
import { openDatabase } from '../../src/db/store.ts';
import { insertUpstream } from '../../src/db/upstreams.ts';
import {
  type ApiKeyId,
  type ApprovalId,
  type CallId,
  newId,
  type PolicyId,
  type PrincipalId,
  type UpstreamId,
} from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { addUser, createInstallation, type Installation, refusalOf, take, withRights } from './installation.ts';

let gateway: Installation;
let approvals: Approvals;
/** Makes the calls; may not see what others do. */
let requester: Principal;
/** Answers them. */
let approver: Principal;

beforeEach(() => install());

afterEach(async () => {
  approvals.close();
  await gateway.close();
});

async function install(limits: Parameters<typeof createInstallation>[1] = {}): Promise<void> {
  const store = await openDatabase({ kind: 'memory' });
  const onChange: Parameters<typeof createApprovals>[0]['onChange'] = (listener) =>
    store.onConfigChange(() => listener([]));
  approvals = createApprovals({ store, onChange, now: Date.now });
  gateway = await createInstallation({ store, approvals }, limits);
  const { projectId } = gateway.admin;
  requester = await addUser(store, projectId, 'robot', ['tools:call']);
  approver = await addUser(store, projectId, 'ann', ['approvals:decide']);
}

const REQUIREMENT = {
  policyId: '0199aaaa-0000-7000-8000-0000000000ff' as PolicyId,
  policySlug: 'payments',
  policyVersion: 3,
  requiredApprovals: 1,
  approverIds: [],
  allowSelfApproval: false,
};

function ask(caller: Principal = requester, change: Partial<NewApproval> = {}) {
  return approvals.create({
    id: newId<ApprovalId>(),
    callId: newId<CallId>(),
    projectId: caller.projectId,
    principalId: caller.id,
    requester: { kind: 'agent', name: caller.name, apiKeyId: 'key-1' as ApiKeyId, keyPrefix: 'pc_aaaaaaaa' },
    upstreamSlug: 'bank',
    method: 'tools/call',
    tool: 'pay',
    arguments: { amount: JSON.rawJSON('12345678901234567890'), pin_token: 'x' },
    argumentsDigest: 'sha256:00',
    message: 'A human must approve this call.',
    ruleIds: ['payments/large'],
    requirements: [REQUIREMENT],
    expireAfterMs: 3_600_000,
    ...change,
  });
}

const as = (caller: Principal) => gateway.as(caller, ApprovalService);

/** A credential whose grants name an upstream of the project, made here. */
async function granted(caller: Principal, slug: string): Promise<Principal> {
  const id = newId<UpstreamId>();
  const upstream = upstreamOf(
    { kind: 'streamable_http', url: 'https://example.com' },
    { id, slug, projectId: caller.projectId },
  );
  await withChange(gateway.store, 'upstream', id, (trx) => insertUpstream(trx, upstream));
  return { ...caller, grants: new Set([id]) };
}

const hidden = (id: string) => ({
  code: 'PermissionDenied',
  message: `The credential has no access to the approval "${id}" (or it might not exist).`,
});

describe('an approval', () => {
  it('is told with everything that is needed to answer it', async () => {
    const { id, callId, createTime } = await ask();
    const { approval } = await as(approver).getApproval({ id });
    expect(approval).toMatchObject({
      id,
      callId,
      projectId: requester.projectId,
      state: ApprovalState.PENDING,
      requester: {
        kind: PrincipalKind.AGENT,
        id: requester.id,
        name: 'robot',
        apiKeyId: 'key-1',
        keyPrefix: 'pc_aaaaaaaa',
      },
      upstreamSlug: 'bank',
      method: 'tools/call',
      tool: 'pay',
      argumentsJson: '{"amount":12345678901234567890,"pin_token":"[redacted]"}',
      argumentsRedacted: true,
      argumentsDigest: 'sha256:00',
      message: 'A human must approve this call.',
      ruleIds: ['payments/large'],
      requirements: [
        { policySlug: 'payments', policyVersion: 3, requiredApprovals: 1, approverIds: [], allowSelfApproval: false },
      ],
      votes: [],
      consumeCallId: '',
    });
    expect(approval?.createTime?.seconds).toBe(BigInt(Math.floor(createTime / 1000)));
    expect(approval?.expireTime?.seconds).toBe(BigInt(Math.floor(createTime / 1000) + 3600));
  });

  it('is shown to its requester, to who sees or decides in the project, and to nobody else', async () => {
    const { id } = await ask();
    for (const caller of [requester, approver, withRights(requester, 'gateway:read'), gateway.admin]) {
      expect((await as(caller).getApproval({ id })).approval?.id).toBe(id);
    }
    const stranger = { ...requester, id: newId<PrincipalId>() };
    for (const caller of [stranger, gateway.otherAdmin]) {
      expect(await refusalOf(as(caller).getApproval({ id }))).toMatchObject(hidden(id));
    }
    const nothing = newId();
    expect(await refusalOf(as(gateway.admin).getApproval({ id: nothing }))).toMatchObject(hidden(nothing));
  });

  it('of a call to an upstream that the grants do not cover is hidden, except from its requester', async () => {
    const [files, bank] = [await granted(approver, 'files'), await granted(approver, 'bank')];
    const { id } = await ask();
    const own = await ask(approver);
    const listed = async (caller: Principal) =>
      (await as(caller).listApprovals({})).approvals.map((approval) => approval.id);
    expect(await listed(bank)).toEqual([own.id, id]);
    expect(await listed(files)).toEqual([own.id]);
    expect(await refusalOf(as(files).getApproval({ id }))).toMatchObject(hidden(id));
    expect(await refusalOf(as(files).approveCall({ id }))).toMatchObject(hidden(id));
    expect((await as(bank).approveCall({ id })).approval?.state).toBe(ApprovalState.APPROVED);
  });

  it('of another project is answered by operators only', async () => {
    const { id } = await ask(gateway.otherAdmin);
    const project = { value: { case: 'slug', value: 'other' } } as const;
    expect((await as(gateway.admin).getApproval({ project, id })).approval?.id).toBe(id);
    expect((await as(gateway.admin).denyCall({ project, id })).approval?.state).toBe(ApprovalState.DENIED);
    expect(await refusalOf(as(gateway.admin).getApproval({ id }))).toMatchObject(hidden(id));
    expect(await refusalOf(as(approver).approveCall({ project, id }))).toMatchObject({ code: 'PermissionDenied' });
  });
});

describe('an answer', () => {
  it('approves or denies, with who and why', async () => {
    const [one, two] = [await ask(), await ask()];
    const approved = await as(approver).approveCall({ id: one.id, comment: 'fine' });
    expect(approved.approval).toMatchObject({
      state: ApprovalState.APPROVED,
      votes: [{ kind: PrincipalKind.USER, principalId: approver.id, name: 'ann', approved: true, comment: 'fine' }],
    });
    const denied = await as(approver).denyCall({ id: two.id, comment: 'too much' });
    expect(denied.approval).toMatchObject({
      state: ApprovalState.DENIED,
      votes: [{ approved: false, comment: 'too much' }],
    });
  });

  it('that is repeated changes nothing, and another one comes too late', async () => {
    const { id } = await ask();
    const first = await as(approver).denyCall({ id, comment: 'no' });
    expect(await as(approver).denyCall({ id, comment: 'still no' })).toEqual(first);
    expect(await refusalOf(as(approver).approveCall({ id }))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'ERROR_REASON_FAILED_PRECONDITION',
      metadata: { state: 'denied', id },
    });
  });

  it('needs the scope, and somebody who may approve', async () => {
    const { id } = await ask();
    expect(await refusalOf(as(requester).approveCall({ id }))).toMatchObject({
      code: 'PermissionDenied',
      metadata: { required_permissions: 'approvals:decide' },
    });
    expect(await refusalOf(as(withRights(requester, 'approvals:decide')).approveCall({ id }))).toMatchObject({
      code: 'PermissionDenied',
      message: 'Nobody may answer for an own call here. Ask somebody else who may answer.',
    });
    const listed = await ask(requester, { requirements: [{ ...REQUIREMENT, approverIds: [gateway.admin.id] }] });
    expect(await refusalOf(as(approver).denyCall({ id: listed.id }))).toMatchObject({
      code: 'PermissionDenied',
      message:
        'The caller is not among those who may answer for this call. The requirements of the approval name them.',
    });
    expect((await as(gateway.admin).approveCall({ id: listed.id })).approval?.state).toBe(ApprovalState.APPROVED);
  });

  it('is refused when it breaks the rules of the schema', async () => {
    expect(await refusalOf(as(approver).approveCall({ id: 'x', comment: 'y'.repeat(1001) }))).toMatchObject({
      code: 'InvalidArgument',
      violations: [{ field: 'id' }, { field: 'comment' }],
    });
  });
});

describe('answers to several approvals', () => {
  it('are all recorded, in their order', async () => {
    const [a, b] = [await ask(), await ask()];
    const { approvals: answered } = await as(approver).batchResolveApprovals({
      resolutions: [{ id: b.id, approve: true, comment: 'fine' }, { id: a.id }],
    });
    expect(answered.map(({ id, state }) => [id, state])).toEqual([
      [b.id, ApprovalState.APPROVED],
      [a.id, ApprovalState.DENIED],
    ]);
  });

  it('are none when one can not be, and the first of these is named', async () => {
    const [a, own, c] = [await ask(), await ask(approver), await ask()];
    const missing = newId();
    await as(gateway.admin).denyCall({ id: c.id });
    const refused = (...ids: string[]) =>
      refusalOf(as(approver).batchResolveApprovals({ resolutions: ids.map((id) => ({ id, approve: true })) }));
    expect(await refused(a.id, own.id, c.id, missing)).toMatchObject({
      code: 'PermissionDenied',
      metadata: { id: own.id },
    });
    expect(await refused(a.id, c.id, own.id)).toMatchObject({
      code: 'FailedPrecondition',
      metadata: { id: c.id, state: 'denied' },
    });
    expect(await refused(a.id, missing)).toMatchObject({ ...hidden(missing), metadata: { id: missing } });
    expect(await refused(a.id, own.id, a.id)).toMatchObject({
      code: 'InvalidArgument',
      violations: [{ field: 'resolutions[2].id' }],
    });
    expect(await refused()).toMatchObject({ code: 'InvalidArgument' });
    expect((await as(approver).getApproval({ id: a.id })).approval).toMatchObject({
      state: ApprovalState.PENDING,
      votes: [],
    });
  });
});

describe('the list of approvals', () => {
  it('is newest first, filtered and paged', async () => {
    const made = [];
    for (let n = 0; n < 4; n++) made.push((await ask(requester, { id: newId<ApprovalId>(1000 + n) })).id);
    const other = await ask(approver, { id: newId<ApprovalId>(2000), tool: 'rm' });
    await ask(gateway.otherAdmin);
    await as(gateway.admin).approveCall({ id: made[0] ?? '' });
    const client = as(gateway.admin);
    const ids = async (request: Parameters<typeof client.listApprovals>[0]) =>
      (await client.listApprovals(request)).approvals.map(({ id }) => id);
    const newestFirst = [other.id, ...made.toReversed()];
    expect(await ids({})).toEqual(newestFirst);
    expect(await ids({ filter: { state: ApprovalState.APPROVED } })).toEqual([made[0]]);
    expect(await ids({ filter: { state: ApprovalState.PENDING, tool: 'pay' } })).toEqual(newestFirst.slice(1, 4));
    expect(await ids({ filter: { requesterId: approver.id } })).toEqual([other.id]);
    const first = await client.listApprovals({ pageSize: 2 });
    expect(first.approvals.map(({ id }) => id)).toEqual(newestFirst.slice(0, 2));
    expect(await ids({ pageSize: 3, pageToken: first.nextPageToken })).toEqual(newestFirst.slice(2));
    const { nextPageToken: pageToken } = first;
    expect(await refusalOf(client.listApprovals({ pageToken, filter: { tool: 'pay' } }))).toMatchObject({
      reason: 'ERROR_REASON_PAGE_TOKEN_INVALID',
    });
  });

  it('holds the own ones only for who may not see the others', async () => {
    const own = await ask();
    const other = await ask(approver);
    const ids = async (filter: object) => (await as(requester).listApprovals({ filter })).approvals.map(({ id }) => id);
    expect(await ids({})).toEqual([own.id]);
    expect(await ids({ requesterId: other.principalId })).toEqual([]);
  });
});

describe('a watch of approvals', () => {
  const tell = ({ value }: WatchApprovalsResponse) =>
    value.case === 'approval' ? [value.value.id, value.value.state] : value.case;

  it('begins with those that are there, goes on with each change, and from any of its cursors', async () => {
    const [a, b] = [await ask(), await ask()];
    const watch = as(approver).watchApprovals({})[Symbol.asyncIterator]();
    const next = async () => {
      const { value } = await watch.next();
      return value === undefined ? undefined : { told: tell(value), cursor: value.cursor };
    };
    const first = await next();
    expect(first?.told).toEqual([a.id, ApprovalState.PENDING]);
    expect((await next())?.told).toEqual([b.id, ApprovalState.PENDING]);
    expect((await next())?.told).toBe('checkpoint');
    await as(approver).approveCall({ id: a.id });
    expect((await next())?.told).toEqual([a.id, ApprovalState.APPROVED]);
    await watch.return?.();
    const again = await take(as(approver).watchApprovals({ cursor: first?.cursor ?? '' }), 3);
    expect(again.map(tell)).toEqual([[b.id, ApprovalState.PENDING], [a.id, ApprovalState.APPROVED], 'checkpoint']);
    const [caughtUp] = await take(as(approver).watchApprovals({ cursor: again[2]?.cursor ?? '' }), 1);
    expect(caughtUp && tell(caughtUp)).toBe('checkpoint');
  });

  it('shows what fits the filter, and to who may not see the others the own ones', async () => {
    const own = await ask();
    await ask(approver);
    await ask(gateway.otherAdmin);
    expect((await take(as(requester).watchApprovals({}), 2)).map(tell)).toEqual([
      [own.id, ApprovalState.PENDING],
      'checkpoint',
    ]);
    await as(approver).denyCall({ id: own.id });
    const filter = { state: ApprovalState.DENIED };
    expect((await take(as(approver).watchApprovals({ filter }), 2)).map(tell)).toEqual([
      [own.id, ApprovalState.DENIED],
      'checkpoint',
    ]);
  });

  it('tells what is wrong with a cursor', async () => {
    await ask();
    const refused = (caller: Principal, request: { cursor: string; filter?: object }) =>
      refusalOf(as(caller).watchApprovals(request)[Symbol.asyncIterator]().next());
    const [first] = await take(as(approver).watchApprovals({}), 1);
    const cursor = first?.cursor ?? '';
    const reason = 'ERROR_REASON_CURSOR_INVALID';
    expect(await refused(approver, { cursor: 'nonsense' })).toMatchObject({
      code: 'InvalidArgument',
      reason,
      metadata: { cause: 'malformed' },
      message:
        'The cursor is not one that a watch gave. Start with an empty cursor, which begins with the approvals that are there now.',
    });
    const other = { reason, metadata: { cause: 'other_filter' } };
    expect(await refused(approver, { cursor, filter: { tool: 'pay' } })).toMatchObject(other);
    expect(await refused(gateway.otherAdmin, { cursor })).toMatchObject(other);
    const { projectId } = approver;
    approvals.close();
    await gateway.close();
    await install();
    expect(await refused({ ...approver, projectId }, { cursor })).toMatchObject({
      reason,
      metadata: { cause: 'other_log' },
    });
  });

  it('ends with a reason when the server stops', async () => {
    approvals.close();
    await gateway.close();
    const stop = new AbortController();
    await install({ shutdownSignal: stop.signal });
    const watch = as(approver).watchApprovals({})[Symbol.asyncIterator]();
    await watch.next();
    const ended = refusalOf(watch.next());
    stop.abort();
    expect(await ended).toMatchObject({ code: 'Unavailable', reason: 'ERROR_REASON_UNAVAILABLE' });
  });
});

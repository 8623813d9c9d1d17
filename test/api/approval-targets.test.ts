import { afterEach, beforeEach, expect, it } from 'vitest';
import { ApprovalService } from '../../gen/portcullis/v1/approval_service_pb.ts';
import type { Approvals } from '../../src/approvals/approvals.ts';
import { createApprovals } from '../../src/approvals/create-approvals.ts';
import { withChange } from '../../src/db/config-changes.ts';
import { openDatabase } from '../../src/db/store.ts';
import { insertUpstream } from '../../src/db/upstreams.ts';
import type { Approval } from '../../src/domain/approval.ts';
import { type CallId, type GatewayId, newId, type UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { requirement } from '../approvals/samples.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { addUser, createInstallation, type Installation, refusalOf } from './installation.ts';

const SHARED = '0199aaaa-0000-7000-8000-000000000011' as GatewayId;

let gateway: Installation;
let approvals: Approvals;
/** Makes the calls. */
let robot: Principal;
/** Answers them. */
let ann: Principal;

beforeEach(async () => {
  const store = await openDatabase({ kind: 'memory' });
  approvals = createApprovals({
    store,
    onChange: (listener) => store.onConfigChange(() => listener([])),
    now: Date.now,
  });
  gateway = await createInstallation({ store, approvals });
  const { projectId } = gateway.admin;
  robot = await addUser(store, projectId, 'robot', ['tools:call']);
  ann = await addUser(store, projectId, 'ann', ['approvals:decide']);
});

afterEach(async () => {
  approvals.close();
  await gateway.close();
});

function ask(target: Pick<Approval, 'upstreamSlug'> & { readonly gatewayId?: GatewayId }): Promise<Approval> {
  return approvals.create({
    callId: newId<CallId>(),
    projectId: robot.projectId,
    principalId: robot.id,
    requester: { kind: 'agent', name: 'robot' },
    ...target,
    method: 'tools/call',
    tool: 'pay',
    arguments: {},
    argumentsDigest: 'sha256:00',
    message: 'A human must approve this call.',
    ruleIds: ['payments/large'],
    requirements: [requirement()],
    expireAfterMs: 3_600_000,
  });
}

async function addUpstream(slug: string, version: string): Promise<UpstreamId> {
  const id = newId<UpstreamId>();
  const { projectId } = gateway.admin;
  const transport = { kind: 'streamable_http', url: 'https://mcp.example.com/mcp' } as const;
  await withChange(gateway.store, 'upstream', id, (trx) =>
    insertUpstream(trx, upstreamOf(transport, { id, slug, version, projectId })),
  );
  return id;
}

const as = (caller: Principal) => gateway.as(caller, ApprovalService);
const listed = async (caller: Principal) =>
  (await as(caller).listApprovals({})).approvals.map(({ id }) => id).toReversed();

it('An approval tells the address of the upstream and the gateway.', async () => {
  const direct = await ask({ upstreamSlug: 'bank@v2' });
  const composed = await ask({ upstreamSlug: 'bank@v2', gatewayId: SHARED });
  expect((await as(ann).getApproval({ id: direct.id })).approval).toMatchObject({
    upstreamSlug: 'bank@v2',
    gatewayId: '',
  });
  expect((await as(ann).getApproval({ id: composed.id })).approval).toMatchObject({ gatewayId: SHARED });
});

it('A credential whose grants name a version of an upstream answers for calls to that version.', async () => {
  const [v1, v2] = [await addUpstream('bank', 'v1'), await addUpstream('bank', 'v2')];
  const [first, second] = [await ask({ upstreamSlug: 'bank' }), await ask({ upstreamSlug: 'bank@v2' })];
  expect(await listed({ ...ann, grants: new Set([v1]) })).toEqual([first.id]);
  const limited = { ...ann, grants: new Set([v2]) };
  expect(await listed(limited)).toEqual([second.id]);
  expect(await refusalOf(as(limited).approveCall({ id: first.id }))).toMatchObject({ code: 'PermissionDenied' });
  await as(limited).approveCall({ id: second.id });
});

it('A credential whose grants name a gateway answers for calls through it, and for no others to the same upstream.', async () => {
  await addUpstream('bank', 'v1');
  const [direct, composed] = [
    await ask({ upstreamSlug: 'bank' }),
    await ask({ upstreamSlug: 'bank', gatewayId: SHARED }),
  ];
  const limited: Principal = { ...ann, grants: new Set<UpstreamId>(), gatewayGrants: new Set([SHARED]) };
  expect(await listed(limited)).toEqual([composed.id]);
  expect(await refusalOf(as(limited).getApproval({ id: direct.id }))).toMatchObject({ code: 'PermissionDenied' });
  expect(await refusalOf(as(limited).denyCall({ id: direct.id }))).toMatchObject({ code: 'PermissionDenied' });
  await as(limited).denyCall({ id: composed.id });
});

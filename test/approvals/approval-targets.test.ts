import { describe, expect, it } from 'vitest';
import { listDueDeliveries } from '../../src/db/webhook-deliveries.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import { databases } from '../store/databases.ts';
import { ann, bob, key, NOW, PROJECT } from './samples.ts';
import { newApproval, openFirstReplica } from './store.ts';

const SHARED = '0199aaaa-0000-7000-8000-000000000011' as GatewayId;
const OTHER = '0199aaaa-0000-7000-8000-000000000012' as GatewayId;

const yes = { approve: true, comment: '' };

describe.each(databases)('approvals on $name', ({ locate }) => {
  it('are for one version of the upstream, and for one way to it', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const targets = [
      {},
      { upstreamSlug: 'bank@v2' },
      { gatewayId: SHARED },
      { gatewayId: OTHER },
      { upstreamSlug: 'bank@v2', gatewayId: SHARED },
    ];
    const made = [];
    for (const target of targets) {
      const { id: _any, ...wanted } = newApproval(target);
      made.push((await approvals.create(wanted)).id);
      expect((await approvals.create(wanted)).id).toBe(made.at(-1));
    }
    expect(new Set(made).size).toBe(5);
    for (const [index, target] of targets.entries()) {
      const { pending } = await approvals.find({ ...key, ...target });
      expect(pending).toMatchObject([{ id: made[index], ...target }]);
    }
    const [direct] = await approvals.find(key).then(({ pending }) => pending);
    expect(direct).not.toHaveProperty('gatewayId');
  });

  it('keep their target through an answer', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const { id } = await approvals.create(newApproval({ upstreamSlug: 'bank@v2', gatewayId: SHARED }));
    const answered = await approvals.vote(PROJECT, id, ann, yes);
    expect(answered).toMatchObject({ state: 'approved', upstreamSlug: 'bank@v2', gatewayId: SHARED });
    expect(await approvals.get(PROJECT, id)).toEqual(answered);
    expect((await approvals.find(key)).approved).toEqual([]);
  });

  it('are seen by address and by gateway', async () => {
    const { approvals } = await openFirstReplica(await locate());
    const { id: first } = await approvals.create(newApproval());
    const { id: second } = await approvals.create(newApproval({ upstreamSlug: 'bank@v2' }));
    const { id: shared } = await approvals.create(newApproval({ gatewayId: SHARED }));
    const { id: other } = await approvals.create(newApproval({ gatewayId: OTHER }));
    const visible = async (upstreamSlugs: string[], gatewayIds?: GatewayId[]) => {
      const visibility = { requesterId: bob.id, upstreamSlugs, ...(gatewayIds === undefined ? {} : { gatewayIds }) };
      const listed = await approvals.list({
        projectId: PROJECT,
        filter: { visibility },
        beforeId: undefined,
        limit: 9,
      });
      return new Set(listed.map(({ id }) => id));
    };
    expect(await visible([])).toEqual(new Set([]));
    expect(await visible(['bank'])).toEqual(new Set([first, shared, other]));
    expect(await visible(['bank@v2'])).toEqual(new Set([second]));
    expect(await visible([], [SHARED])).toEqual(new Set([shared]));
    expect(await visible(['bank@v2'], [OTHER, SHARED])).toEqual(new Set([second, shared, other]));

    const narrow = { requesterId: bob.id, upstreamSlugs: [], gatewayIds: [SHARED] };
    await expect(approvals.vote(PROJECT, first, bob, yes, narrow)).rejects.toMatchObject({
      reason: 'permission_denied',
    });
    await expect(approvals.vote(PROJECT, other, bob, yes, narrow)).rejects.toMatchObject({
      reason: 'permission_denied',
    });
    expect((await approvals.vote(PROJECT, shared, bob, yes, narrow)).state).toBe('approved');
  });

  it('tell their target to the webhook', async () => {
    const webhook = { approvalWebhook: { url: 'https://example.com', sealedSecret: 'sealed' } };
    const { approvals, store } = await openFirstReplica(await locate(), webhook);
    await approvals.create(newApproval({ upstreamSlug: 'bank@v2', gatewayId: SHARED }));
    const [delivery] = await listDueDeliveries(store.db, { now: NOW, exceptProjects: [], limit: 9 });
    expect(JSON.parse(delivery?.body ?? '{}').data).toMatchObject({ upstreamSlug: 'bank@v2', gatewayId: SHARED });
  });
});

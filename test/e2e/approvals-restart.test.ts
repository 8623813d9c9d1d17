import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayOptions } from '../support/gateway-process.ts';
import { type CallArguments, createApprovalWorld, createCalling, freshArguments } from './support-approvals.ts';
import { createCleanUp } from './support-clean-up.ts';
import { sdkOf } from './support-policies.ts';
import { replicaEnv } from './support-replicas.ts';

const { APPROVED, CONSUMED, DENIED } = ApprovalState;
const cleanUp = createCleanUp();

afterAll(cleanUp.run);

interface DatabaseKind {
  readonly name: string;
  readonly start: () => Promise<GatewayOptions>;
}

const sqlite: DatabaseKind = {
  name: 'SQLite',
  start: async () => {
    const folder = mkdtemp(join(tmpdir(), 'portcullis-approvals-'));
    const dataDir = await cleanUp.add(folder, (made) => rm(made, { recursive: true }));
    return { dataDir, env: { GATEWAY_DEMO_UPSTREAM: 'false' } };
  },
};
const postgres: DatabaseKind = { name: 'PostgreSQL', start: async () => ({ env: await replicaEnv() }) };

/** Approvals that are used at the very moment of a kill. */
const RACES = 3;

describe.concurrent.each([sqlite, postgres])('a gateway on $name that is killed', ({ start }) => {
  test('[I3-RESTART] between request, answer and retry keeps approvals as they were, and lets each through once', {
    timeout: 60_000,
  }, async () => {
    const options = { ...(await start()), apiKey: createApiKey() };
    let gateway = await cleanUp.startGateway(options);
    const world = await createApprovalWorld(cleanUp, [gateway], () => ({ act: {} }));
    let { call, ask } = world;
    const { caller, approvers, forwarded } = world;
    const restart = async () => {
      await gateway.kill();
      gateway = await cleanUp.startGateway(options);
      ({ call, ask } = createCalling(gateway, caller));
    };
    const approvalsOf = ({ apiKey }: { apiKey: string }) => sdkOf(gateway, apiKey).approvals;
    const stateOf = async (id: string) => (await approvalsOf(caller).getApproval({ id })).approval?.state;

    const args = freshArguments();
    const deniedArgs = freshArguments();
    const raced = Array.from({ length: RACES }, freshArguments);
    const id = await ask(args);
    const deniedId = await ask(deniedArgs);
    const racedIds = await Promise.all(raced.map((one) => ask(one)));
    await restart();

    expect(await ask(args)).toBe(id);
    await expect(approvalsOf(caller).approveCall({ id })).rejects.toMatchObject({ reason: 'permission_denied' });
    await approvalsOf(approvers.ann).batchResolveApprovals({
      resolutions: [...racedIds, id].map((one) => ({ id: one, approve: true })),
    });
    await approvalsOf(approvers.ben).denyCall({ id: deniedId, comment: 'No.' });
    await restart();

    expect([await stateOf(id), await stateOf(deniedId)]).toEqual([APPROVED, DENIED]);
    expect(await call(args)).toBe('passed');
    expect(await ask(args)).not.toBe(id);
    expect(await ask(deniedArgs)).not.toBe(deniedId);

    const retries = raced.flatMap((one) => Array.from({ length: 4 }, () => call(one)));
    await Promise.race(retries);
    await restart();
    await Promise.all(retries);
    await Promise.all(raced.map((one) => call(one)));
    const timesOf = (one: CallArguments) => forwarded(one);
    expect(raced.map(timesOf).filter((times) => times > 1)).toEqual([]);
    expect(await Promise.all(racedIds.map(stateOf))).toEqual(racedIds.map(() => CONSUMED));
    expect([await stateOf(id), forwarded(args), forwarded(deniedArgs)]).toEqual([CONSUMED, 1, 0]);
  });
});

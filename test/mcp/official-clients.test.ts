import { afterEach, describe, expect, test } from 'vitest';
import type { ApprovalBehavior } from '../../src/domain/policy.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { serveSdk } from '../upstream/sdk-upstream.ts';
import { type McpGateway, startMcpGateway } from './mcp-gateway.ts';
import { type OnUrl, officialKinds } from './official-clients.ts';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

async function setUp(behavior: ApprovalBehavior): Promise<McpGateway> {
  const sdk = await serveSdk();
  const upstream = upstreamOf({ kind: 'streamable_http', url: sdk.url });
  const gateway = await startMcpGateway({ upstream, approval: { behavior } });
  cleanUps.push(sdk.stop, gateway.stop);
  return gateway;
}

describe.each(officialKinds)('$name', ({ codes, ...kind }) => {
  const connect = async (url: string, onUrl?: OnUrl) => {
    const client = await kind.connect(url, 'alice', onUrl);
    cleanUps.push(client.close);
    return client;
  };

  test('ERROR: learns the approval’s id, and gets its answer when it calls again once that is approved', async () => {
    const gateway = await setUp('error');
    const client = await connect(gateway.url);
    const refused = await client.echo('hi');
    const { id } = await gateway.approvals.next();
    expect(refused).toEqual({ code: codes.approval, approvalId: id, reason: 'rule' });
    gateway.approvals.approve(id);
    expect(await client.echo('hi')).toBe('hi');
    expect(await client.echo('hi')).toMatchObject({ code: codes.approval });
  });

  test('HOLD: sees progress, and gets its answer as soon as a human approves', async () => {
    const gateway = await setUp('hold');
    const client = await connect(gateway.url);
    const progress = Promise.withResolvers<string>();
    const answer = client.echo('hi', progress.resolve);
    const { id } = await gateway.approvals.next();
    expect(await progress.promise).toContain(`A human must approve this call at https://gateway.test/approvals/${id}`);
    gateway.approvals.approve(id);
    expect(await answer).toBe('hi');
  });

  test('HOLD: gets the denial', async () => {
    const gateway = await setUp('hold');
    const answer = (await connect(gateway.url)).echo('hi');
    const { id } = await gateway.approvals.next();
    gateway.approvals.deny(id);
    expect(await answer).toEqual({ code: codes.deny, approvalId: id, reason: 'approval_denied' });
  });

  test('ELICIT: shows its user the page, and gets its answer once the call is approved there', async () => {
    const gateway = await setUp('elicit');
    const shown: string[] = [];
    const client = await connect(gateway.url, ({ url }) => {
      shown.push(url);
      setTimeout(() => gateway.approvals.approve(gateway.approvals.all()[0]?.id ?? ''), 50);
      return 'accept';
    });
    expect(await client.echo('hi')).toBe('hi');
    expect(shown).toEqual([`https://gateway.test/approvals/${gateway.approvals.all()[0]?.id}`]);
    expect(gateway.approvals.all().map(({ state }) => state)).toEqual(['consumed']);
  });

  test('ELICIT: gives up the call when its user declines', async () => {
    const gateway = await setUp('elicit');
    const client = await connect(gateway.url, () => 'decline');
    expect(await client.echo('hi')).toMatchObject({ code: codes.deny, reason: 'approval_denied' });
    expect(gateway.approvals.all().map(({ state }) => state)).toEqual(['denied']);
  });

  test('ELICIT: gets the error when it cannot open URLs', async () => {
    const gateway = await setUp('elicit');
    const client = await connect(gateway.url);
    expect(await client.echo('hi')).toMatchObject({ code: codes.approval, reason: 'rule' });
  });
});

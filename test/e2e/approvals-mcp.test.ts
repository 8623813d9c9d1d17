import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { ApprovalService } from '../../gen/portcullis/v1/approval_service_pb.ts';

import { ApprovalBehavior } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type OfficialClient, type OnUrl, officialKinds } from '../mcp/official-clients.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { serveSdk } from '../upstream/sdk-upstream.ts';
import { addUserWithKey, apiOf, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { replicaEnv } from './support-replicas.ts';

type Slug = 'error' | 'hold' | 'elicit';

const behaviors = {
  error: ApprovalBehavior.ERROR,
  hold: ApprovalBehavior.HOLD,
  elicit: ApprovalBehavior.ELICIT,
} as const;
const slugs = ['error', 'hold', 'elicit'] as const;

/** The caller's replica, and the one on which people answer. */
let first: GatewayProcess;
let second: GatewayProcess;
let callerKey: string;
let texts = 0;
const cleanUp = createCleanUp();

beforeAll(async () => {
  const env = { ...(await replicaEnv()), GATEWAY_DEMO_UPSTREAM: 'false' };
  first = await cleanUp.startGateway({ env });
  second = await cleanUp.startGateway({ env, apiKey: first.apiKey });
  const upstream = await cleanUp.add(serveSdk(), ({ stop }) => stop());
  for (const slug of slugs) {
    await apiOf(first, UpstreamService).createUpstream({ slug, transport: streamableHttp(upstream.url) });
    await apiOf(first, PolicyService).createPolicy({
      slug: `ask-${slug}`,
      content: {
        targets: [{ upstreamPattern: slug, toolPattern: 'echo' }],
        rules: [{ id: 'ask', kind: { case: 'effect', value: { effect: Effect.REQUIRE_APPROVAL } } }],
        approval: { behavior: behaviors[slug] },
      },
    });
  }
  callerKey = (await addUserWithKey(first, 'caller', [Scope.TOOLS_CALL])).apiKey;
});

afterAll(() => cleanUp.run());

/** The approval that waits for an answer, as the second replica sees it. */
function pendingApproval() {
  return vi.waitFor(
    async () => {
      const filter = { state: ApprovalState.PENDING };
      const { approvals } = await apiOf(second, ApprovalService).listApprovals({ filter });
      expect(approvals).toHaveLength(1);
      return approvals[0]?.id ?? '';
    },
    { timeout: 10_000 },
  );
}

const approve = (id: string) => apiOf(second, ApprovalService).approveCall({ id, comment: 'Fine.' });
const deny = (id: string) => apiOf(second, ApprovalService).denyCall({ id, comment: 'Not today.' });
/** Arguments of its own for each test, so that no test uses another one's approval. */
const freshText = () => `text ${++texts}`;

describe.each(officialKinds)('$name, approved and denied at another replica', ({ codes, connect: connectKind }) => {
  const connect = async (slug: Slug, onUrl?: OnUrl): Promise<OfficialClient> => {
    const url = `${first.baseUrl}/v1/mcp/${slug}`;
    return cleanUp.add(connectKind(url, callerKey, onUrl), (client) => client.close());
  };

  test('ERROR: goes through once, when it comes again', async () => {
    const client = await connect('error');
    const text = freshText();
    const refused = await client.echo(text);
    const id = await pendingApproval();
    expect(refused).toMatchObject({ code: codes.approval, approvalId: id });
    await approve(id);
    expect(await client.echo(text)).toBe(text);
    expect(await client.echo(text)).toMatchObject({ code: codes.approval });
    await deny(await pendingApproval());
  });

  test('HOLD: is answered as soon as it is approved', async () => {
    const client = await connect('hold');
    const text = freshText();
    const answer = client.echo(text);
    await approve(await pendingApproval());
    expect(await answer).toBe(text);
  });

  test('HOLD: is refused as soon as it is denied', async () => {
    const client = await connect('hold');
    const answer = client.echo(freshText());
    await deny(await pendingApproval());
    expect(await answer).toMatchObject({ code: codes.deny, reason: 'approval_denied' });
  });

  test('ELICIT: shows the page, and is answered once the call is approved', async () => {
    const shown = Promise.withResolvers<string>();
    const client = await connect('elicit', ({ url }) => {
      shown.resolve(url);
      return 'accept';
    });
    const text = freshText();
    const answer = client.echo(text);
    const id = await pendingApproval();
    expect(await shown.promise).toBe(`${first.baseUrl}/approvals/${id}`);
    await approve(id);
    expect(await answer).toBe(text);
  });

  test('ELICIT: is given up when the user declines', async () => {
    const client = await connect('elicit', () => 'decline');
    const refused = await client.echo(freshText());
    expect(refused).toMatchObject({ code: codes.deny, reason: 'approval_denied' });
    const { approvals } = await apiOf(second, ApprovalService).listApprovals({ pageSize: 1 });
    expect(approvals).toMatchObject([{ state: ApprovalState.DENIED }]);
  });
});

test('a held call is answered when its replica stops, and goes through at the other one once approved', async () => {
  const text = freshText();
  const connect = (gateway: GatewayProcess) => {
    const connecting = officialKinds[0]?.connect(`${gateway.baseUrl}/v1/mcp/hold`, callerKey);
    return cleanUp.add(connecting as Promise<OfficialClient>, (client) => client.close().catch(() => {}));
  };
  const held = (await connect(first)).echo(text);
  const id = await pendingApproval();
  expect(await first.stop()).toBe(0);
  expect(await held).toMatchObject({ code: -32002, approvalId: id });
  await approve(id);
  expect(await (await connect(second)).echo(text)).toBe(text);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { AgentState } from '../../gen/portcullis/v1/agent_pb.ts';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { createPortcullisClient, type PortcullisClient } from '../../sdk/src/client.ts';
import { createGuard, type Denial } from '../../sdk/src/guard.ts';
import { paginate } from '../../sdk/src/paginate.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayOptions, GatewayProcess } from '../support/gateway-process.ts';
import { createCleanUp } from './support-clean-up.ts';
import {
  createShopFolder,
  type Refund,
  SHOPS,
  type Shop,
  type ShopFolder,
  type ShopOptions,
} from './support-guarded-shop.ts';

const cleanUp = createCleanUp();
let folder: ShopFolder;

beforeAll(async () => {
  folder = await cleanUp.add(createShopFolder(), (made) => made.remove());
});
afterAll(cleanUp.run);

const UNREACHABLE = 'Authorization denied: Portcullis could not be reached.';
const TOO_MUCH = 'Authorization denied: Refunds above 100 are not allowed.';

test('the examples of the SDK compile against the package as it is published', async () => {
  expect(await folder.check()).toBe('');
});

describe('a gateway that stays', () => {
  let portcullis: PortcullisClient;
  let shopOptions: ShopOptions;
  let gatewayKey: string;

  beforeAll(async () => {
    const gateway = await cleanUp.startGateway();
    portcullis = operatorOf(gateway);
    gatewayKey = gateway.apiKey;
    shopOptions = { folder, portcullisUrl: gateway.baseUrl, portcullisApiKey: await prepare(portcullis) };
  });

  test.each(Object.entries(SHOPS))('decides and records every call of %s', async (name, start) => {
    const shop = await cleanUp.add(start(shopOptions), (started) => started.stop());
    const order = (number: number) => `${name.replaceAll(/\W+/g, '-')}-${number}`;

    expect(await shop.refund(order(1), 20)).toMatchObject({ isError: false, text: `Refunded 20 for ${order(1)}.` });
    expect(await shop.refund(order(2), 200)).toMatchObject({ isError: true, text: TOO_MUCH });
    expect(await shop.refund(order(3), -1)).toMatchObject({
      isError: true,
      text: expect.stringContaining('Invalid arguments'),
    });
    const asked = await shop.refund(order(4), 75);
    expect(asked.isError).toBe(true);
    const approvalId = /\(approval ([0-9a-f-]{36})\)$/.exec(asked.text)?.[1] ?? '';
    await portcullis.approvals.approveCall({ id: approvalId });
    expect(await shop.refund(order(4), 76)).toMatchObject({ isError: true });
    expect(await shop.refund(order(4), 75)).toMatchObject({ isError: false, text: `Refunded 75 for ${order(4)}.` });
    expect(await shop.refund(order(4), 75)).toMatchObject({ isError: true });

    // What a process prints may come after what it answers.
    await vi.waitFor(() => expect(shop.denied()).toHaveLength(4));
    expect(shop.refunded()).toEqual([order(1), order(4)]);
    const decisions = (await decisionsOf(portcullis)).filter(({ order: of }) => of.startsWith(order(0).slice(0, -1)));
    expect(decisions.map(({ order: of, amount, effect }) => [of, amount, effect])).toEqual([
      [order(1), 20, Effect.ALLOW],
      [order(2), 200, Effect.DENY],
      [order(4), 75, Effect.REQUIRE_APPROVAL],
      [order(4), 76, Effect.REQUIRE_APPROVAL],
      [order(4), 75, Effect.ALLOW],
      [order(4), 75, Effect.REQUIRE_APPROVAL],
    ]);
  });

  test('denies what it refuses to decide, even when onError is allow', async () => {
    const other = await portcullis.agents.createAgent({ slug: 'other-bot' });
    const ownerId = other.agent?.id ?? '';
    const grants = { allUpstreams: true };
    const otherKey = await portcullis.apiKeys.createApiKey({ ownerId, scopes: [Scope.TOOLS_CALL], grants });
    const readKey = await portcullis.apiKeys.createApiKey({ scopes: [Scope.GATEWAY_READ], grants });
    let ran = 0;
    const kinds: string[] = [];
    const refund = (apiKey: string, agentId: string, tool = 'refund', args: object = { amount: 1 }) => {
      const client = createPortcullisClient({ baseUrl: shopOptions.portcullisUrl, apiKey });
      const onDenied = (_: string, reason: string, { kind }: Denial) => void kinds.push(`${kind}: ${reason}`);
      return createGuard(client, { agentId, onError: 'allow', onDenied })(tool, (_: object) => ++ran)(args);
    };

    await refund(createApiKey(), 'support-bot');
    await refund(otherKey.secret, 'support-bot');
    await refund(readKey.secret, 'support-bot');
    await refund(gatewayKey, 'no-such-bot');
    await refund(gatewayKey, 'support-bot', 'x'.repeat(513));
    expect(ran).toBe(0);
    await portcullis.agents.updateAgent({
      agent: { value: { case: 'id', value: ownerId } },
      state: AgentState.SUSPENDED,
    });
    await vi.waitFor(async () => {
      await refund(gatewayKey, 'other-bot');
      expect(kinds.at(-1)).toMatch(/^denied: /);
    });

    expect(kinds.slice(0, 5)).toEqual([
      'refused: Portcullis refused to decide this call (invalid_api_key).',
      'refused: Portcullis refused to decide this call (permission_denied).',
      'refused: Portcullis refused to decide this call (permission_denied).',
      'refused: Portcullis refused to decide this call (not_found).',
      'refused: Portcullis refused to decide this call (validation_failed).',
    ]);
    expect(kinds.at(-1)).toBe("denied: The agent 'other-bot' is suspended: all of its calls are denied.");
  });

  test('decides about arguments as large and as deep as the guard sends them', async () => {
    let deep: unknown = {};
    for (let level = 2; level < 48; level++) deep = level % 2 === 0 ? [deep] : { a: deep };
    const client = createPortcullisClient({ baseUrl: shopOptions.portcullisUrl, apiKey: gatewayKey });
    const note = createGuard(client, { agentId: 'support-bot' })('note', (args: object) => Object.keys(args));

    expect(await note({ deep })).toEqual(['deep']);
    expect(await note({ text: 'x'.repeat(65_536 - 11) })).toEqual(['text']);
    expect(await note({ '': 0, ключ: -0, big: 2 ** 60, tiny: 5e-324 })).toEqual(['', 'ключ', 'big', 'tiny']);
  });

  describe('and a guard that waits for approval', () => {
    function waitingRefund(order: string, options: { timeoutMs?: number; baseUrl?: string; apiKey?: string } = {}) {
      const { timeoutMs = 30_000 } = options;
      const { baseUrl = shopOptions.portcullisUrl, apiKey = shopOptions.portcullisApiKey } = options;
      const agent = createPortcullisClient({ baseUrl, apiKey });
      const ran: string[] = [];
      const denials: Denial[] = [];
      const guard = createGuard(agent, {
        agentId: 'support-bot',
        waitForApproval: { timeoutMs },
        onDenied: (_, __, denial) => denials.push(denial),
      });
      const refund = guard('refund', (args: { order: string; amount: number }) => {
        ran.push(args.order);
        return 'refunded' as const;
      });
      return { answer: refund({ order, amount: 80 }), ran, denials };
    }

    /** The approvals of an order, once there are any. */
    const approvalsOf = (order: string, operator = portcullis) =>
      vi.waitFor(async () => {
        const { approvals } = await operator.approvals.listApprovals({ pageSize: 250 });
        const found = approvals.filter(({ argumentsJson }) => argumentsJson.includes(order));
        expect(found).not.toEqual([]);
        return found;
      }, 5_000);

    test('runs the handler as soon as it is approved', async () => {
      const { answer, ran, denials } = waitingRefund('waits-1');
      const [approval] = await approvalsOf('waits-1');
      await sleep(500);
      await portcullis.approvals.approveCall({ id: approval?.id ?? '' });

      expect(await answer).toBe('refunded');
      expect([ran, denials]).toEqual([['waits-1'], []]);
    });

    test('goes on to wait while the gateway is restarted', { timeout: 60_000 }, async () => {
      for (const end of ['stop', 'kill'] as const) {
        const dataDir = await cleanUp.add(mkdtemp(join(tmpdir(), 'portcullis-guard-')), (path) =>
          rm(path, { recursive: true }),
        );
        const options: GatewayOptions = { dataDir, apiKey: createApiKey() };
        const gateway = await cleanUp.startGateway(options);
        const operator = operatorOf(gateway);
        const apiKey = await prepare(operator);
        const { answer, ran, denials } = waitingRefund(`waits-${end}`, { baseUrl: gateway.baseUrl, apiKey });
        const [approval] = await approvalsOf(`waits-${end}`, operator);
        await sleep(500);
        await gateway[end]();
        const again = await cleanUp.startGateway({ ...options, env: { GATEWAY_PORT: String(gateway.port) } });
        await sleep(500);
        await operator.approvals.approveCall({ id: approval?.id ?? '' });

        expect(await answer).toBe('refunded');
        expect([ran, denials]).toEqual([[`waits-${end}`], []]);
        expect(await approvalsOf(`waits-${end}`, operator)).toHaveLength(1);
        await again.stop();
      }
    });

    test('denies as soon as it is denied, and asks for no other approval', async () => {
      const { answer, ran, denials } = waitingRefund('waits-2');
      const [approval] = await approvalsOf('waits-2');
      await sleep(500);
      await portcullis.approvals.denyCall({ id: approval?.id ?? '' });

      expect(await answer).toMatchObject({ isError: true });
      expect(ran).toEqual([]);
      expect(denials.map(({ kind, approvalId }) => [kind, approvalId])).toEqual([['approval_required', approval?.id]]);
      expect(await approvalsOf('waits-2')).toHaveLength(1);
    });

    test('denies when its time is over, and the approval can still be used', async () => {
      const { answer, ran } = waitingRefund('waits-3', { timeoutMs: 1_000 });

      expect(await answer).toMatchObject({ isError: true });
      expect(ran).toEqual([]);
      const [approval] = await approvalsOf('waits-3');
      await portcullis.approvals.approveCall({ id: approval?.id ?? '' });
      expect(await waitingRefund('waits-3').answer).toBe('refunded');
    });
  });
});

describe('a gateway that is killed under load', () => {
  test('lets no call slip through, and its log holds every call that ran', { timeout: 180_000 }, async () => {
    const dataDir = await cleanUp.add(mkdtemp(join(tmpdir(), 'portcullis-guard-')), (path) =>
      rm(path, { recursive: true }),
    );
    const options: GatewayOptions = { dataDir, apiKey: createApiKey() };
    let gateway = await cleanUp.startGateway(options);
    const shopOptions = {
      folder,
      portcullisUrl: gateway.baseUrl,
      portcullisApiKey: await prepare(operatorOf(gateway)),
    };
    const shops = await startShops(shopOptions);
    const load = createLoad(shops);

    await load.until(() => load.count(({ isError }) => !isError) > 100);
    await gateway.kill();
    const ranAtKill = shops.flatMap((shop) => shop.refunded()).length;
    await load.until(() => load.count(({ text }) => text === UNREACHABLE) > 100);
    // What was answered just before the kill may still be on its way to its handler; all that is asked now is refused.
    for (const [index, shop] of shops.entries()) {
      expect(await shop.refund(`outage-${index}`, 1)).toMatchObject({ isError: true, text: UNREACHABLE });
    }
    gateway = await cleanUp.startGateway({ ...options, env: { GATEWAY_PORT: String(gateway.port) } });
    const before = load.count(({ isError }) => !isError);
    await load.until(() => load.count(({ isError }) => !isError) > before + 50);
    const answers = await load.end();

    const deniedCount = answers.filter(({ isError }) => isError).length + shops.length;
    await vi.waitFor(() => expect(shops.flatMap((shop) => shop.denied())).toHaveLength(deniedCount));
    const ran = shops.flatMap((shop) => shop.refunded());
    expect(ran.length).toBeGreaterThan(ranAtKill);
    expect(ran.toSorted()).toEqual(ordersOf(answers, ({ isError }) => !isError));
    expect(ran.filter((order) => order.startsWith('outage'))).toEqual([]);
    expect(new Set(answers.map(({ isError, text }) => (isError ? text : 'refunded')))).toEqual(
      new Set(['refunded', TOO_MUCH, UNREACHABLE]),
    );

    const decisions = await decisionsOf(operatorOf(gateway));
    const decided = (effect: Effect) => decisions.filter((decision) => decision.effect === effect);
    const allowed = decided(Effect.ALLOW).map(({ order }) => order);
    expect(new Set(allowed).size).toBe(allowed.length);
    expect(ran.filter((order) => !allowed.includes(order))).toEqual([]);
    const denied = new Set(decided(Effect.DENY).map(({ order }) => order));
    expect(ordersOf(answers, ({ text }) => text === TOO_MUCH).filter((order) => !denied.has(order))).toEqual([]);
  });

  test('lets calls pass when onError is allow, without a word from onDenied', { timeout: 120_000 }, async () => {
    const gateway = await cleanUp.startGateway();
    const shopOptions = {
      folder,
      portcullisUrl: gateway.baseUrl,
      portcullisApiKey: await prepare(operatorOf(gateway)),
      onError: 'allow' as const,
    };
    const shops = await startShops(shopOptions);
    const load = createLoad(shops);

    await load.until(() => load.count(({ isError }) => !isError) > 100);
    await gateway.kill();
    const deniedAtKill = load.count(({ isError }) => isError);
    const passedAtKill = load.count(({ isError }) => !isError);
    await load.until(() => load.count(({ isError }) => !isError) > passedAtKill + 100);
    const silentFrom = shops.map((shop) => shop.denied().length);
    for (const [index, shop] of shops.entries()) {
      expect(await shop.refund(`outage-${index}`, 1_000)).toMatchObject({ isError: false });
    }
    const answers = await load.end();

    expect(deniedAtKill).toBeGreaterThan(0);
    expect(shops.map((shop) => shop.denied().length)).toEqual(silentFrom);
    expect(new Set(answers.filter(({ isError }) => isError).map(({ text }) => text))).toEqual(new Set([TOO_MUCH]));
    const ran = shops.flatMap((shop) => shop.refunded()).filter((order) => !order.startsWith('outage'));
    expect(ran.toSorted()).toEqual(ordersOf(answers, ({ isError }) => !isError));
    expect(shops.flatMap((shop) => shop.denied())).toHaveLength(answers.filter(({ isError }) => isError).length);
  });
});

function operatorOf({ baseUrl, apiKey }: Pick<GatewayProcess, 'baseUrl' | 'apiKey'>): PortcullisClient {
  return createPortcullisClient({ baseUrl, apiKey });
}

/** The agent of the examples with a policy about its refunds; gives its ApiKey. */
async function prepare(portcullis: PortcullisClient): Promise<string> {
  const { agent } = await portcullis.agents.createAgent({ slug: 'support-bot' });
  const maximum = (value: number) => ({ path: 'amount', type: { case: 'number' as const, value: { maximum: value } } });
  await portcullis.policies.createPolicy({
    slug: 'refunds',
    content: {
      subjects: { agentIds: [agent?.id ?? ''] },
      targets: [{ toolPattern: 'refund' }],
      rules: [
        { id: 'allow', kind: { case: 'effect', value: { effect: Effect.ALLOW } } },
        {
          id: 'limit',
          message: 'Refunds above 100 are not allowed.',
          kind: { case: 'arguments', value: { constraints: [maximum(100)] } },
        },
        {
          id: 'approval',
          message: 'Refunds above 50 need approval.',
          kind: {
            case: 'arguments',
            value: { constraints: [{ ...maximum(50), effect: Effect.REQUIRE_APPROVAL }] },
          },
        },
      ],
    },
  });
  const made = await portcullis.apiKeys.createApiKey({
    ownerId: agent?.id ?? '',
    scopes: [Scope.TOOLS_CALL],
    grants: { allUpstreams: true },
  });
  return made.secret;
}

function startShops(options: ShopOptions): Promise<Shop[]> {
  return Promise.all(Object.values(SHOPS).map((start) => cleanUp.add(start(options), (shop) => shop.stop())));
}

/** Callers of each shop, one call after the other, every third of which is for too much. */
function createLoad(shops: readonly Shop[]) {
  const answers: Refund[] = [];
  const over = new AbortController();
  const callers = shops.flatMap((shop, shopNumber) =>
    Array.from({ length: 4 }, async (_, caller) => {
      for (let number = 0; !over.signal.aborted; number++) {
        answers.push(await shop.refund(`${shopNumber}-${caller}-${number}`, number % 3 === 2 ? 101 : 10));
      }
    }),
  );
  return {
    count: (fits: (answer: Refund) => boolean) => answers.filter(fits).length,
    async until(isReached: () => boolean) {
      await Promise.race([vi.waitUntil(isReached, { timeout: 60_000, interval: 20 }), Promise.all(callers)]);
    },
    /** All answers, in no order, once every caller has its last. */
    async end(): Promise<readonly Refund[]> {
      over.abort();
      await Promise.all(callers);
      return answers;
    },
  };
}

function ordersOf(answers: readonly Refund[], fits: (answer: Refund) => boolean): string[] {
  return answers
    .filter(fits)
    .map(({ order }) => order)
    .toSorted();
}

/** The decisions about refunds, oldest first, with what was asked for. */
async function decisionsOf(portcullis: PortcullisClient): Promise<(Decision & { order: string; amount: number })[]> {
  const decisions = [];
  for await (const decision of paginate(portcullis.decisions.listDecisions, {
    filter: { tool: 'refund' },
    pageSize: 250,
  })) {
    decisions.push({ ...decision, ...(JSON.parse(decision.argumentsJson) as { order: string; amount: number }) });
  }
  return decisions.toReversed();
}

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Approval, ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { ApprovalBehavior } from '../../gen/portcullis/v1/policy_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { watchApprovals } from '../../sdk/src/watch-approvals.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { type ApprovalWorld, type CallArguments, createApprovalWorld, freshArguments } from './support-approvals.ts';
import { createCleanUp } from './support-clean-up.ts';
import { sdkOf, slugRef } from './support-policies.ts';
import { addKey, addUser, type Caller } from './support-principals.ts';
import { replicaEnv } from './support-replicas.ts';
import { startWebhookReceiver, type WebhookReceiver } from './support-webhook.ts';

const { PENDING, APPROVED, DENIED, EXPIRED, CONSUMED } = ApprovalState;
const cleanUp = createCleanUp();

/** The caller's replica, and the one on which people answer. */
let first: GatewayProcess;
let second: GatewayProcess;
let world: ApprovalWorld;
let database: pg.Client;
let webhook: WebhookReceiver;

beforeAll(async () => {
  const env: Record<string, string> = { ...(await replicaEnv()), GATEWAY_DEMO_UPSTREAM: 'false' };
  const apiKey = createApiKey();
  const start = () => cleanUp.startGateway({ env, apiKey });
  [first, second] = await Promise.all([start(), start()]);
  database = new pg.Client(env['GATEWAY_DATABASE_URL']);
  await cleanUp.add(database.connect(), () => database.end());
  webhook = await cleanUp.add(startWebhookReceiver(), ({ stop }) => stop());
  world = await createApprovalWorld(cleanUp, [first, second], () => ({
    act: {},
    hold: { behavior: ApprovalBehavior.HOLD, holdTimeout: { seconds: 20n } },
    'hold-briefly': { behavior: ApprovalBehavior.HOLD, holdTimeout: { seconds: 1n } },
  }));
});

afterAll(cleanUp.run);

const as = ({ apiKey }: Pick<Caller, 'apiKey'>, gateway = first) => sdkOf(gateway, apiKey);

const approve = (id: string, who: Caller = world.approvers.ann, at = second) =>
  as(who, at).approvals.approveCall({ id, comment: 'Fine.' });

const approvalOf = async (id: string) => (await world.operator.approvals.getApproval({ id })).approval as Approval;

/** Lets an approval's time pass, which takes a minute at least. */
const expire = (id: string) =>
  database.query('update approvals set expire_time = $2 where id = $1', [id, Date.now() - 1]);

describe('CallTool that is held', () => {
  const pendingId = (tool: string) =>
    vi.waitFor(async () => {
      const { approvals } = await world.operator.approvals.listApprovals({ filter: { tool, state: PENDING } });
      expect(approvals).toHaveLength(1);
      return approvals[0]?.id ?? '';
    });

  test('[I3-HOLD] is answered as soon as it is approved at the other replica', async () => {
    const args = freshArguments();
    const answer = world.call(args, { tool: 'hold' });
    const id = await pendingId('hold');
    expect(world.forwarded(args)).toBe(0);
    await approve(id);
    expect(await answer).toBe('passed');
    expect(await approvalOf(id)).toMatchObject({ state: CONSUMED });
  });

  test('is refused as soon as it is denied', async () => {
    const args = freshArguments();
    const answer = world.call(args, { tool: 'hold' });
    const id = await pendingId('hold');
    await as(world.approvers.ann, second).approvals.denyCall({ id });
    expect(await answer).toMatchObject({ metadata: { approval_id: id, approval_state: 'denied' } });
    expect(world.forwarded(args)).toBe(0);
  });

  test('is answered as an error when nobody answers in time, and goes through once that is approved', async () => {
    const args = freshArguments();
    const began = performance.now();
    const id = await world.ask(args, { tool: 'hold-briefly' });
    expect(performance.now() - began).toBeGreaterThan(990);
    await approve(id);
    expect(await world.call(args, { tool: 'hold-briefly' })).toBe('passed');
  });
});

describe('Authorize', () => {
  const authorize = (args: CallArguments, seconds?: bigint, who: Caller = world.caller) =>
    as(who).tools.authorize({
      agent: slugRef('bot'),
      tool: 'act',
      arguments: args,
      ...(seconds === undefined ? {} : { approvalWait: { seconds } }),
    });
  /** The approval that a request waits for by now. */
  const pendingId = (args: CallArguments) =>
    vi.waitFor(async () => {
      const { approvals } = await world.operator.approvals.listApprovals({ filter: { tool: 'act', state: PENDING } });
      const found = approvals.find(({ argumentsJson }) => argumentsJson === JSON.stringify(args));
      expect(found).toBeDefined();
      return found?.id ?? '';
    }, 10_000);

  test('[I3-AUTHORIZE] is answered ALLOW once after the approval, whoever asks for the agent', async () => {
    const args = freshArguments();
    const refused = await authorize(args);
    expect(refused).toMatchObject({
      outcome: Effect.REQUIRE_APPROVAL,
      reason: DecisionReason.RULE,
      ruleIds: ['ask-act/r'],
      approvalState: PENDING,
    });
    expect((await world.operator.decisions.getDecision({ id: refused.decisionId })).decision).toMatchObject({
      principal: { name: 'bot' },
      effect: Effect.REQUIRE_APPROVAL,
      approvalId: refused.approvalId,
    });
    await approve(refused.approvalId);
    expect(await authorize(args)).toMatchObject({ outcome: Effect.ALLOW, reason: DecisionReason.APPROVAL });
    expect(await authorize(args)).toMatchObject({ outcome: Effect.REQUIRE_APPROVAL });
  });

  test('[I3-AUTHORIZE] waits for the answer at the other replica, as long as it was asked to', async () => {
    const [yes, no, none] = [freshArguments(), freshArguments(), freshArguments()];
    const waiting = [authorize(yes, 20n), authorize(no, 20n), authorize(none, 1n)] as const;
    await approve(await pendingId(yes));
    await as(world.approvers.ben, second).approvals.denyCall({ id: await pendingId(no) });
    expect(await Promise.all(waiting)).toMatchObject([
      { outcome: Effect.ALLOW, reason: DecisionReason.APPROVAL },
      { outcome: Effect.REQUIRE_APPROVAL, approvalState: DENIED },
      { outcome: Effect.REQUIRE_APPROVAL, approvalState: PENDING },
    ]);
  });
});

describe('a watch of approvals', () => {
  test('[I3-WATCH-APPROVALS] shows every change, and goes on at another replica where it ended', async () => {
    const filter = { requesterId: (await addUser(world.operator, 'watched')).id };
    const watched = await addKey(world.operator, filter.requesterId);
    const args = freshArguments();
    const id = await world.ask(args, { who: watched });

    let place = '';
    for await (const { approval, cursor } of watchApprovals(as(world.approvers.ann), { filter })) {
      expect(approval).toMatchObject({ id, state: PENDING });
      place = cursor;
      break;
    }
    await approve(id);
    const seen: [string, ApprovalState][] = [];
    const others: string[] = [];
    const answers: unknown[] = [];
    for await (const { approval, cursor } of watchApprovals(as(world.approvers.ann, second), {
      filter,
      cursor: place,
    })) {
      place = cursor;
      seen.push([approval.id, approval.state]);
      if (approval.id === id && approval.state === APPROVED) {
        answers.push(await world.call(args, { who: watched }));
        others.push(await world.ask(freshArguments(), { who: watched }));
      } else if (approval.id === others[0]) {
        break;
      }
    }
    expect(answers).toEqual(['passed']);
    expect(seen).toEqual([
      [id, APPROVED],
      [id, CONSUMED],
      [others[0], PENDING],
    ]);
    await expire(others[0] ?? '');
    for await (const { approval } of watchApprovals(as(world.approvers.ann), { filter, cursor: place })) {
      expect(approval).toMatchObject({ id: others[0], state: EXPIRED });
      break;
    }
  });
});

describe('the webhook of a project', () => {
  test('[I3-WEBHOOK] is told of each change once, signed, and again with the same id until it takes it', async () => {
    const { url, secret, deliveries, statuses } = webhook;
    await world.operator.projects.updateProject({ approvalWebhook: { url, secret } });
    const { project } = await world.operator.projects.getProject({});
    expect(project?.approvalWebhook).toMatchObject({ url, secret: '' });
    const args = { ...freshArguments(), token: 'tok_5678' };
    const eventsOf = (id: string) => deliveries.filter(({ event }) => event.data.id === id);
    const typesOf = (id: string) => eventsOf(id).map(({ event }) => event.type);

    const id = await world.ask(args);
    await vi.waitFor(() => expect(typesOf(id)).toEqual(['approval.created']), 10_000);
    await approve(id);
    await vi.waitFor(() => expect(typesOf(id)).toEqual(['approval.created', 'approval.approved']), 10_000);
    statuses.push(500, 302);
    expect(await world.call(args)).toBe('passed');
    for (const attempts of [3, 4, 5]) {
      await vi.waitFor(() => expect(eventsOf(id)).toHaveLength(attempts), 10_000);
      // The next attempt would come 5 s, and then 30 s, later.
      await vi.waitFor(
        async () => {
          if (attempts === 5) return;
          const due =
            'update webhook_deliveries set next_time = 0 where approval_id = $1 and attempts = $2 and next_time < $3';
          const { rowCount } = await database.query(due, [id, attempts - 2, Date.now() + 31_000]);
          expect(rowCount).toBe(1);
        },
        { timeout: 10_000, interval: 20 },
      );
    }
    await vi.waitFor(async () => {
      const { rows } = await database.query('select id from webhook_deliveries where approval_id = $1', [id]);
      expect(rows).toEqual([]);
    }, 10_000);

    expect(typesOf(id).slice(2)).toEqual(['approval.consumed', 'approval.consumed', 'approval.consumed']);
    const ids = eventsOf(id).map((delivery) => delivery.id);
    expect(new Set(ids).size).toBe(3);
    expect(new Set(ids.slice(2)).size).toBe(1);
    expect(deliveries.filter(({ isSigned, age }) => !isSigned || age > 60)).toEqual([]);
    expect(deliveries.filter(({ raw }) => raw.includes('tok_5678') || raw.includes(world.caller.apiKey))).toEqual([]);
    await world.operator.projects.updateProject({ approvalWebhook: { url: '' } });
  });

  test('may not be an address that the network rules keep the gateway from', async () => {
    for (const url of ['ftp://example.com/hook', 'http://user:secret@example.com/', 'nonsense']) {
      await expect(
        world.operator.projects.updateProject({ approvalWebhook: { url, secret: webhook.secret } }),
      ).rejects.toMatchObject({ reason: 'validation_failed', violations: [{ field: 'approval_webhook.url' }] });
    }
  });
});

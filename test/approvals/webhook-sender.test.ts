import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { fromJson } from '@bufbuild/protobuf';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ApprovalSchema } from '../../gen/portcullis/v1/approval_pb.ts';
import { toApprovalMessage } from '../../src/api/approval-message.ts';
import { type SendWebhook, startWebhookSender, type WebhookSenderDeps } from '../../src/approvals/webhook-sender.ts';
import { webhookHeaders } from '../../src/approvals/webhook-signature.ts';
import { insertProject } from '../../src/db/projects.ts';
import type { Store } from '../../src/db/store.ts';
import type { ProjectId } from '../../src/domain/ids.ts';
import { createNetworkGuard } from '../../src/upstream/network-guard.ts';
import { createWebhookClient } from '../../src/upstream/webhook-client.ts';
import { databases, SOON } from '../store/databases.ts';
import { serveTexts } from '../upstream/fixtures.ts';
import { HOUR, NOW, PROJECT } from './samples.ts';
import { newApproval, openFirstReplica, openReplica, otherCall, project } from './store.ts';

const KEY = Buffer.alloc(32, 7);
const SECRET = `whsec_${KEY.toString('base64')}`;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A receiver of events that answers each as the test says. */
async function receive(answer: (response: ServerResponse) => void) {
  const received: Received[] = [];
  const server = await serveTexts(({ headers }, text, response) => {
    received.push({ headers, text });
    answer(response);
  });
  onTestFinished(server.stop);
  return { received, url: server.url };
}

const webhook = (url: string) => ({ approvalWebhook: { url, sealedSecret: `sealed ${SECRET}` } });
const client = createWebhookClient({ guard: createNetworkGuard(['loopback']) });

function startSender(store: Store, clock: { time: number }, changes: Partial<WebhookSenderDeps> = {}) {
  const errors: string[] = [];
  const sender = startWebhookSender({
    db: store.db,
    send: client,
    open: async (sealed) => sealed.replace('sealed ', ''),
    now: () => clock.time,
    onError: (error) => errors.push(String(error)),
    everyMs: 5,
    ...changes,
  });
  onTestFinished(() => sender.close());
  return { ...sender, errors };
}

/** All that is still in the outbox. */
function outbox(store: Store) {
  return store.db.selectFrom('webhook_deliveries').selectAll().orderBy('id').execute();
}

describe('the signature of a webhook', () => {
  it('is the one of Standard Webhooks', () => {
    expect(
      webhookHeaders('whsec_plJ3nmyCDGBKInavdOK15jsl', {
        id: 'msg_loFOjxBNrRLzqYUf',
        time: 1_731_705_121_999,
        body: '{"event_type":"ping","data":{"success":true}}',
      }),
    ).toEqual({
      'webhook-id': 'msg_loFOjxBNrRLzqYUf',
      'webhook-timestamp': '1731705121',
      'webhook-signature': 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
    });
  });
});

describe.each(databases)('the webhook on $name', ({ locate }) => {
  it('gets each event, signed, with the approval as the API shows it', async () => {
    const { received, url } = await receive((response) => response.writeHead(204).end());
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook(url));
    const made = await approvals.create(newApproval({ message: 'ü 🏰' }));
    clock.time = NOW + 1_500;
    startSender(store, clock);
    await vi.waitFor(() => expect(received).toHaveLength(1), SOON);
    const [{ headers, text } = { headers: {}, text: '' }] = received;
    const body: { type: string; timestamp: string; data: object } = JSON.parse(text);
    expect(body).toMatchObject({ type: 'approval.created', timestamp: new Date(NOW).toISOString() });
    expect(fromJson(ApprovalSchema, JSON.parse(JSON.stringify(body.data)))).toEqual(toApprovalMessage(made));
    const id = String(headers['webhook-id']);
    const signed = createHmac('sha256', KEY).update(`${id}.1790000001.${text}`).digest('base64');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-timestamp': '1790000001',
      'webhook-signature': `v1,${signed}`,
    });
    await vi.waitFor(async () => expect(await outbox(store)).toEqual([]), SOON);
  });

  it('gets each event once when all goes well, however many replicas send', async () => {
    const { received, url } = await receive((response) => response.end());
    const location = await locate();
    const first = await openFirstReplica(location, webhook(url));
    const second = location.kind === 'postgres' ? await openReplica(location, first.clock) : first;
    for (const store of [first.store, second.store, first.store]) startSender(store, first.clock);
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? first : second).approvals.create(newApproval(otherCall(n)))),
    );
    await vi.waitFor(() => expect(new Set(received.map(({ text }) => JSON.parse(text).data.id)).size).toBe(50), SOON);
    await vi.waitFor(async () => expect(await outbox(first.store)).toEqual([]), SOON);
    expect(received).toHaveLength(50);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(50);
  });

  it('is told again, later and later, with the same id, until it answers well', async () => {
    const statuses = [500, 301, 404, 429, 503];
    const { received, url } = await receive((response) =>
      response.writeHead(statuses[received.length - 1] ?? 200).end(),
    );
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook(url));
    await approvals.create(newApproval());
    const sender = startSender(store, clock);
    const delays = [5_000, 30_000, 120_000, 600_000, 3_600_000];
    for (const [index, delay] of delays.entries()) {
      await vi.waitFor(
        async () => expect(await outbox(store)).toMatchObject([{ attempts: index + 1, next_time: clock.time + delay }]),
        SOON,
      );
      clock.time += delay - 1;
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(received).toHaveLength(index + 1);
      clock.time += 1;
    }
    await vi.waitFor(async () => expect(await outbox(store)).toEqual([]), SOON);
    expect(received).toHaveLength(6);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(received.map(({ text }) => text)).size).toBe(1);
    expect(new Set(received.map(({ headers }) => headers['webhook-signature'])).size).toBe(6);
    expect(sender.errors[0]).toBe('Error: The webhook answered with the status 500.');
  });

  it('is given up after three days, and at once when it answers that it is gone', async () => {
    const { received, url } = await receive((response) => response.writeHead(500).end());
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook(url));
    await approvals.create(newApproval());
    const sender = startSender(store, clock);
    while ((await outbox(store)).length > 0) {
      const [row] = await outbox(store);
      if (row !== undefined && row.next_time > clock.time && row.attempts === sender.errors.length)
        clock.time = row.next_time;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(clock.time).toBeGreaterThan(NOW + 65 * HOUR);
    expect(clock.time).toBeLessThanOrEqual(NOW + 72 * HOUR);
    expect(received).toHaveLength(17);
    expect(sender.errors.at(-1)).toBe('Error: The webhook answered with the status 500. It is not tried again.');

    const gone = await receive((response) => response.writeHead(410).end());
    const other = await openFirstReplica(await locate(), webhook(gone.url));
    await other.approvals.create(newApproval());
    startSender(other.store, other.clock);
    await vi.waitFor(async () => expect(await outbox(other.store)).toEqual([]), SOON);
    expect(gone.received).toHaveLength(1);
  });

  it('that hangs is left, tried again, and holds up no other project', async () => {
    const hanging = await receive(() => {});
    const fine = await receive((response) => response.end());
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook(hanging.url));
    const other = 'other' as ProjectId;
    await insertProject(store.db, project({ id: other, slug: 'other', ...webhook(fine.url) }));
    for (let n = 0; n < 40; n++) await approvals.create(newApproval(otherCall(n)));
    await approvals.create(newApproval({ projectId: other }));
    const sender = startSender(store, clock, { timeoutMs: 300 });
    await vi.waitFor(() => expect(fine.received).toHaveLength(1), SOON);
    expect(hanging.received.length).toBeLessThanOrEqual(4);
    await vi.waitFor(() => expect(sender.errors.length).toBeGreaterThanOrEqual(4), SOON);
    expect(sender.errors[0]).toBe('Error: The webhook did not answer.');
  });

  it('at a private address, or with a secret that can not be opened, stays in the outbox', async () => {
    const { received, url } = await receive((response) => response.end());
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook(url));
    await approvals.create(newApproval());
    const strict = startSender(store, clock, { send: createWebhookClient({ guard: createNetworkGuard([]) }) });
    await vi.waitFor(() => expect(strict.errors).toEqual(['Error: The webhook did not answer.']), SOON);
    await strict.close();
    clock.time += 5_000;
    const keyless = startSender(store, clock, { open: () => Promise.reject(new Error('no key')) });
    await vi.waitFor(() => expect(keyless.errors).toHaveLength(1), SOON);
    await keyless.close();
    expect(await outbox(store)).toMatchObject([{ attempts: 2, next_time: clock.time + 30_000 }]);
    expect(received).toEqual([]);
  });

  it('is told nothing more once the project has none', async () => {
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook('http://127.0.0.1:1/'));
    await approvals.create(newApproval());
    await store.db.updateTable('projects').set({ approval_webhook: null }).where('id', '=', PROJECT).execute();
    const sender = startSender(store, clock);
    await vi.waitFor(async () => expect(await outbox(store)).toEqual([]), SOON);
    expect(sender.errors).toEqual([]);
  });

  it('is told by another replica when one dies in the middle of an attempt', async () => {
    const { received, url } = await receive((response) => response.end());
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook(url));
    await approvals.create(newApproval());
    // Its answer never comes back, as if the process were gone.
    const send: SendWebhook = async (request) => {
      await client(request);
      return new Promise((_resolve, reject) => request.signal.addEventListener('abort', reject));
    };
    startSender(store, { time: NOW }, { send });
    await vi.waitFor(() => expect(received).toHaveLength(1), SOON);
    const living = startSender(store, clock);
    clock.time += 44_999;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(received).toHaveLength(1);
    clock.time += 1;
    await vi.waitFor(async () => expect(await outbox(store)).toEqual([]), SOON);
    expect(received).toHaveLength(2);
    expect(received[1]?.headers['webhook-id']).toBe(received[0]?.headers['webhook-id']);
    await living.close();
  });

  it('gets an event soon from another replica when this one stops in the middle of it', async () => {
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook('http://127.0.0.1:1/'));
    await approvals.create(newApproval());
    const begun = Promise.withResolvers<void>();
    const send: SendWebhook = ({ signal }) =>
      new Promise((_resolve, reject) => {
        begun.resolve();
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const stopping = startSender(store, clock, { send });
    await begun.promise;
    await stopping.close();
    expect(await outbox(store)).toMatchObject([{ attempts: 1, next_time: clock.time }]);
    expect(stopping.errors).toEqual([]);
  });

  it('gets no second attempt from a replica that lost its claim', async () => {
    const { approvals, store, clock } = await openFirstReplica(await locate(), webhook('http://127.0.0.1:1/'));
    await approvals.create(newApproval());
    const answer = Promise.withResolvers<{ status: number }>();
    const slow = startSender(store, clock, { send: () => answer.promise });
    await vi.waitFor(async () => expect(await outbox(store)).toMatchObject([{ attempts: 1 }]), SOON);
    await store.db
      .updateTable('webhook_deliveries')
      .set({ attempts: 2, next_time: clock.time + 60_000 })
      .execute();
    answer.resolve({ status: 500 });
    await vi.waitFor(() => expect(slow.errors).toHaveLength(1), SOON);
    await slow.close();
    expect(await outbox(store)).toMatchObject([{ attempts: 2, next_time: clock.time + 60_000 }]);
  });
});

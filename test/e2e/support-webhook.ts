import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What arrived at a webhook. */
export interface Delivery {
  /** The id that stays the same when a delivery is repeated. */
  readonly id: string;
  readonly isSigned: boolean;
  /** How old the signature's time was, in seconds. */
  readonly age: number;
  readonly event: { readonly type: string; readonly data: { readonly id: string; readonly state: string } };
  readonly raw: string;
}

/** A receiver of webhooks on loopback that checks signatures as Standard Webhooks 1.0 has it, written from its text. */
export interface WebhookReceiver {
  readonly url: string;
  readonly secret: string;
  readonly deliveries: readonly Delivery[];
  /** The statuses that it answers next; 200 when there is none left. */
  readonly statuses: number[];
  stop(): Promise<void>;
}

const KEY = Buffer.from('a key of thirty-two bytes, it is');

/** Starts one on a free port. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const deliveries: Delivery[] = [];
  const statuses: number[] = [];
  const server = createServer((request, response) => {
    void text(request).then((raw) => {
      const {
        'webhook-id': id = '',
        'webhook-timestamp': timestamp = '',
        'webhook-signature': signatures = '',
      } = request.headers as Record<string, string>;
      const expected = `v1,${createHmac('sha256', KEY).update(`${id}.${timestamp}.${raw}`).digest('base64')}`;
      const isSigned = signatures.split(' ').some((signature) => isSame(signature, expected));
      const age = Date.now() / 1000 - Number(timestamp);
      deliveries.push({ id, isSigned, age, event: JSON.parse(raw) as Delivery['event'], raw });
      response.writeHead(statuses.shift() ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    // listen() on a TCP port makes this an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/approvals`,
    secret: `whsec_${KEY.toString('base64')}`,
    deliveries,
    statuses,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

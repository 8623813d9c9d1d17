import { createHmac } from 'node:crypto';

const SECRET_PREFIX = 'whsec_';

/**
 * The headers of Standard Webhooks 1.0 (https://www.standardwebhooks.com) for a payload, signed with HMAC-SHA256. `secret` is `whsec_`
 * and base64; `time` in Unix milliseconds is that of the attempt, so that receivers can refuse old ones.
 */
export function webhookHeaders(
  secret: string,
  { id, time, body }: { readonly id: string; readonly time: number; readonly body: string },
): Record<string, string> {
  const key = Buffer.from(secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : secret, 'base64');
  const timestamp = Math.floor(time / 1000);
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  };
}

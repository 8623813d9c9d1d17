import type { ApprovalWebhook as WebhookMessage } from '../../gen/portcullis/v1/project_pb.ts';
import type { SecretBox } from '../config/secret-box.ts';
import type { ApprovalWebhook } from '../domain/project.ts';
import { checkHttpUrl } from './http-url.ts';
import { createValidationError } from './validation.ts';

const PURPOSE = 'webhook';
const FIELD = 'approval_webhook';

/** Bounds of a Standard Webhooks secret, in bytes. */
const MIN_SECRET = 24;
const MAX_SECRET = 64;

/**
 * The webhook of a request, its secret sealed; undefined = none. Without a secret, the stored one stays. Throws `validation_failed` for a URL
 * that is not plain http or https, and when there is no secret.
 */
export async function readWebhook(
  box: SecretBox,
  { url, secret }: WebhookMessage,
  stored: ApprovalWebhook | undefined,
): Promise<ApprovalWebhook | undefined> {
  if (url === '') {
    return secret === '' ? undefined : refuse('url', 'must be set when a secret is given');
  }
  const href = checkHttpUrl(`${FIELD}.url`, url, 'deliveries are signed');
  if (secret !== '') {
    return { url: href, sealedSecret: await box.seal(PURPOSE, checkSecret(secret)) };
  }
  const { sealedSecret } = stored ?? refuse('secret', 'must be given: nothing is stored for it');
  return { url: href, sealedSecret };
}

function checkSecret(secret: string): string {
  const text = secret.slice('whsec_'.length);
  const bytes = Buffer.from(text, 'base64');
  const isBase64 = bytes.toString('base64').replaceAll('=', '') === text.replaceAll('=', '');
  return isBase64 && bytes.length >= MIN_SECRET && bytes.length <= MAX_SECRET
    ? secret
    : refuse('secret', `must be whsec_ and the base64 of ${MIN_SECRET} to ${MAX_SECRET} bytes`);
}

function refuse(field: 'url' | 'secret', description: string): never {
  throw createValidationError([{ field: `${FIELD}.${field}`, description }]);
}

import type { UpstreamTransport } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { CreateUpstreamRequest, UpdateUpstreamRequest } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { SecretBox } from '../config/secret-box.ts';
import type { Transport, Upstream, UpstreamSecrets } from '../domain/upstream.ts';
import { fromTransportMessage } from './transport-message.ts';
import { findViolations } from './upstream-rules.ts';
import { isOtherDestination, type MergedSecrets, mergeSecrets, type OpenedSecrets } from './upstream-secrets.ts';
import { createValidationError } from './validation.ts';

export interface DestinationDeps {
  readonly box: SecretBox;
  /** Commands that STDIO upstreams may run, by exact text. */
  readonly stdioCommands: readonly string[];
}

/** Where an upstream is, and the secrets that it is reached with. */
export type Destination = Pick<Upstream, 'transport' | 'auth' | 'sealedSecrets' | 'headerNames' | 'envNames'>;

const PURPOSE = 'upstream';

/** The destination of a new upstream. Throws `validation_failed` for what does not fit together. */
export async function draftDestination(
  deps: DestinationDeps,
  request: Pick<CreateUpstreamRequest, 'transport' | 'auth' | 'headers' | 'env'>,
): Promise<Destination> {
  return seal(deps, readTransport(deps, request.transport), mergeSecrets(request));
}

/** What a request changes of the destination; nothing when it says nothing. Throws `validation_failed` as {@link draftDestination} does. */
export async function changeDestination(
  deps: DestinationDeps,
  old: Upstream,
  request: Pick<UpdateUpstreamRequest, 'transport' | 'auth' | 'headers' | 'env'>,
): Promise<Partial<Destination>> {
  const { transport: message, auth, headers, env } = request;
  if (message === undefined && auth === undefined && headers === undefined && env === undefined) {
    return {};
  }
  const transport = message === undefined ? old.transport : readTransport(deps, message);
  const stored = await open(deps, old);
  const merged = mergeSecrets({ auth, headers: headers?.headers, env: env?.env }, stored);
  if (merged.kept.length > 0 && isOtherDestination(old.transport, transport)) {
    const description = 'must be given again or removed: stored secrets do not follow to another destination';
    throw createValidationError(merged.kept.map((field) => ({ field, description })));
  }
  return seal(deps, transport, merged);
}

function readTransport({ stdioCommands }: DestinationDeps, message: UpstreamTransport | undefined): Transport {
  if (message === undefined) {
    throw createValidationError([{ field: 'transport', description: 'must be set' }]);
  }
  return fromTransportMessage(message, stdioCommands);
}

async function open({ box }: DestinationDeps, { auth, sealedSecrets }: Upstream): Promise<OpenedSecrets> {
  const text = sealedSecrets === '' ? '{}' : await box.open(PURPOSE, sealedSecrets);
  return { auth, secrets: JSON.parse(text) as UpstreamSecrets }; // the text that seal wrote
}

async function seal({ box }: DestinationDeps, transport: Transport, merged: MergedSecrets): Promise<Destination> {
  const violations = findViolations(transport, merged);
  if (violations.length > 0) {
    throw createValidationError(violations);
  }
  const { auth, secrets } = merged;
  const headerNames = Object.keys(secrets.headers ?? {});
  const envNames = Object.keys(secrets.env ?? {});
  const none = auth.kind === 'none' && headerNames.length === 0 && envNames.length === 0;
  const sealedSecrets = none ? '' : await box.seal(PURPOSE, JSON.stringify(secrets));
  return { transport, auth, sealedSecrets, headerNames, envNames };
}

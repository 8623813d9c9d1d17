import { hash, randomBytes } from 'node:crypto';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { Transaction } from 'kysely';
import type { ConfigWriting } from '../authn/config-writing.ts';
import type { SecretBox } from '../config/secret-box.ts';
import {
  type CreateRequestRecord,
  deleteCreateRequestsBefore,
  findCreateRequest,
  insertCreateRequest,
} from '../db/create-requests.ts';
import type { Database } from '../db/database.ts';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { type ConfigStore, writeConfig } from './config-write.ts';

export interface RepeatableDeps {
  readonly store: ConfigStore;
  readonly box: SecretBox;
}

/** A creation, described so that a repeat of it is recognised. */
export interface Repeatable<Request extends DescMessage, Response extends DescMessage> {
  readonly caller: Principal;
  readonly projectId: ProjectId;
  readonly request: MessageShape<Request> & { readonly requestId: string };
  readonly schemas: { readonly request: Request; readonly response: Response };
  /** Writes the resource and answers; runs in a transaction that no other change of configuration overlaps. */
  readonly write: (writing: ConfigWriting) => Promise<MessageInitShape<Response>>;
}

const DAY_MS = 24 * 3600 * 1000;
const PURPOSE = 'create response';

/** What is kept of a first answer, sealed: it may hold a secret, and the salt keeps the hash of the request from being guessed. */
interface Kept {
  readonly salt: string;
  /** Binary message in base64. */
  readonly response: string;
}

/**
 * Runs a creation once for each `request_id` and caller: a repeat within a day gets the first answer. Throws `already_exists` when the
 * id was used with another request or by another credential.
 */
export async function runOnce<Request extends DescMessage, Response extends DescMessage>(
  deps: RepeatableDeps,
  creation: Repeatable<Request, Response>,
): Promise<MessageShape<Response>> {
  const first = await findFirstAnswer(deps, creation);
  if (first !== undefined) {
    return first;
  }
  try {
    return await writeConfig(deps.store, async (writing) => {
      const response = create(creation.schemas.response, await creation.write(writing));
      await keepAnswer(deps, writing.trx, creation, response);
      return response;
    });
  } catch (error) {
    // Of two equal requests at once the second fails on what the first wrote.
    const winner = error instanceof GatewayError ? await findFirstAnswer(deps, creation) : undefined;
    if (winner !== undefined) {
      return winner;
    }
    throw error;
  }
}

async function findFirstAnswer<Request extends DescMessage, Response extends DescMessage>(
  { store, box }: RepeatableDeps,
  { request, projectId, schemas, ...creation }: Repeatable<Request, Response>,
): Promise<MessageShape<Response> | undefined> {
  if (request.requestId === '') {
    return undefined;
  }
  const record = await findCreateRequest(store.db, projectId, schemas.request.typeName, request.requestId);
  if (record === undefined || record.createTime < Date.now() - DAY_MS) {
    return undefined;
  }
  const kept = JSON.parse(await box.open(PURPOSE, record.sealedResponse)) as Kept; // our own text
  if (hashRequest(kept.salt, creation.caller, toBinary(schemas.request, request)) !== record.requestHash) {
    const message = 'This request_id was used with another request. Use a new one for each creation.';
    throw new GatewayError('already_exists', message, { metadata: { field: 'request_id' } });
  }
  return fromBinary(schemas.response, Buffer.from(kept.response, 'base64'));
}

async function keepAnswer<Request extends DescMessage, Response extends DescMessage>(
  { box }: RepeatableDeps,
  trx: Transaction<Database>,
  { request, projectId, schemas, caller }: Repeatable<Request, Response>,
  response: MessageShape<Response>,
): Promise<void> {
  if (request.requestId === '') {
    return;
  }
  const now = Date.now();
  const salt = randomBytes(16).toString('base64url');
  const kept: Kept = { salt, response: Buffer.from(toBinary(schemas.response, response)).toString('base64') };
  const record: CreateRequestRecord = {
    projectId,
    method: schemas.request.typeName,
    requestId: request.requestId,
    requestHash: hashRequest(salt, caller, toBinary(schemas.request, request)),
    sealedResponse: await box.seal(PURPOSE, JSON.stringify(kept)),
    createTime: now,
  };
  await deleteCreateRequestsBefore(trx, now - DAY_MS);
  await insertCreateRequest(trx, record);
}

function hashRequest(salt: string, caller: Principal, request: Uint8Array): string {
  const who = JSON.stringify([salt, caller.id, caller.apiKeyId ?? null]);
  return hash('sha256', Buffer.concat([Buffer.from(who), request]), 'hex');
}

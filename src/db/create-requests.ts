import type { Kysely } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { Database } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** The first answer of a Create that carried a `request_id`. */
export interface CreateRequestRecord {
  readonly projectId: ProjectId;
  readonly method: string;
  readonly requestId: string;
  /** SHA-256 of the request, hex. */
  readonly requestHash: string;
  readonly sealedResponse: string;
  /** Unix milliseconds. */
  readonly createTime: number;
}

/**
 * Keeps the answer; run it in the transaction of the Create. Throws `already_exists` when another request with this id won:
 * that rolls the Create back, and the caller answers with what {@link findCreateRequest} now finds.
 */
export async function insertCreateRequest(db: Db, request: CreateRequestRecord): Promise<void> {
  await db
    .insertInto('create_requests')
    .values({
      project_id: request.projectId,
      method: request.method,
      request_id: request.requestId,
      request_hash: request.requestHash,
      sealed_response: request.sealedResponse,
      create_time: request.createTime,
    })
    .execute()
    .catch(requestIdTaken);
}

/** The kept answer of this request id. */
export async function findCreateRequest(
  db: Db,
  projectId: ProjectId,
  method: string,
  requestId: string,
): Promise<CreateRequestRecord | undefined> {
  const row = await db
    .selectFrom('create_requests')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('method', '=', method)
    .where('request_id', '=', requestId)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { request_hash: requestHash, sealed_response: sealedResponse, create_time: createTime } = row;
  return { projectId, method, requestId, requestHash, sealedResponse, createTime };
}

/** Removes answers kept since before the time (Unix milliseconds). */
export async function deleteCreateRequestsBefore(db: Db, time: number): Promise<void> {
  await db.deleteFrom('create_requests').where('create_time', '<', time).execute();
}

function requestIdTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  const message = 'A request with this request_id was made at the same time. Repeat it to get the first answer.';
  throw new GatewayError('already_exists', message, { cause: error });
}

import type { ExpressionBuilder, Kysely, Selectable } from 'kysely';
import type { Approval, ApprovalKey, ApprovalState } from '../domain/approval.ts';
import type { ApprovalId, CallId, GatewayId, PrincipalId, ProjectId } from '../domain/ids.ts';
import type { ApprovalTable, Database } from './database.ts';

type Db = Kysely<Database>;

/** An approval as stored, with its place among all changes. Whether it has expired meanwhile is for the reader to see. */
export interface ApprovalRecord extends Approval {
  /** The configuration's version after the last change: orders changes as they were committed. */
  readonly changeVersion: number;
  readonly revision: number;
}

/** Whose approvals are shown: one's own, and those for calls to certain upstreams, or through certain gateways. */
export interface ApprovalVisibility {
  readonly requesterId: PrincipalId;
  /** Addresses. */
  readonly upstreamSlugs: readonly string[];
  /** Absent = none. */
  readonly gatewayIds?: readonly GatewayId[];
}

/** Which approvals of a project are wanted; what is undefined does not matter. */
export interface ApprovalFilter {
  /** As the approval reads at `now`. */
  readonly state?: ApprovalState | undefined;
  readonly requesterId?: string | undefined;
  readonly tool?: string | undefined;
  /** Undefined = all. */
  readonly visibility?: ApprovalVisibility | undefined;
}

/** Stores a new approval. */
export async function insertApproval(db: Db, approval: ApprovalRecord): Promise<void> {
  await db.insertInto('approvals').values(toRow(approval)).execute();
}

/** Writes the next state of an approval unless another writer was faster; false then. */
export async function updateApproval(db: Db, approval: ApprovalRecord): Promise<boolean> {
  const { id, ...row } = toRow(approval);
  const result = await db
    .updateTable('approvals')
    .set(row)
    .where('id', '=', id)
    .where('revision', '=', approval.revision - 1)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** The approval with this id. */
export async function findApproval(db: Db, id: string): Promise<ApprovalRecord | undefined> {
  const row = await db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
  return row && fromRow(row);
}

/** Ids in one statement. */
const MAX_IDS = 500;

/** The approvals with these ids (at most 500), oldest first; those that do not exist are left out. */
export async function findApprovals(db: Db, ids: readonly string[]): Promise<ApprovalRecord[]> {
  return (await db.selectFrom('approvals').selectAll().where('id', 'in', ids).orderBy('id').execute()).map(fromRow);
}

/** Those of the approvals with these ids (at most 500) that are not pending at `now` (Unix milliseconds), expired ones included. */
export async function findSettledApprovals(db: Db, ids: readonly string[], now: number): Promise<ApprovalRecord[]> {
  const rows = await db
    .selectFrom('approvals')
    .selectAll()
    .where('id', 'in', ids)
    .where((where) => where.or([where('state', '<>', 'pending'), where('expire_time', '<=', now)]))
    .execute();
  return rows.map(fromRow);
}

/** What a requester has open at a time. */
export interface OpenApprovals {
  /** Pending or approved for the call, oldest first. */
  readonly ofCall: readonly ApprovalRecord[];
  /** How many are pending, for this and other calls. */
  readonly pendingCount: number;
}

/** The approvals of the call's requester that wait for an answer or a use; those that have expired at `now` (Unix milliseconds) are left out. */
export async function findOpenApprovals(db: Db, key: ApprovalKey, now: number): Promise<OpenApprovals> {
  const rows = await db
    .selectFrom('approvals')
    .select(['id', 'state', 'arguments_digest', 'tool'])
    .where('principal_id', '=', key.principalId)
    .where('state', 'in', ['pending', 'approved'])
    .where('project_id', '=', key.projectId)
    .where('expire_time', '>', now)
    .execute();
  const tool = toStorable(key.tool);
  const candidates = rows.filter((row) => row.arguments_digest === key.argumentsDigest && row.tool === tool);
  const ofCall = candidates.length === 0 ? [] : await findApprovals(db, idsOf(candidates));
  return {
    ofCall: ofCall.filter((approval) => isForCall(approval, key)),
    pendingCount: rows.filter(({ state }) => state === 'pending').length,
  };
}

function idsOf(rows: readonly { readonly id: string }[]): string[] {
  return rows.map(({ id }) => id).slice(0, MAX_IDS);
}

/** Compares the names as the caller wrote them: columns may hold the same text for two of them. */
function isForCall(approval: ApprovalRecord, key: ApprovalKey): boolean {
  return (
    approval.tool === key.tool &&
    approval.method === key.method &&
    approval.upstreamSlug === key.upstreamSlug &&
    approval.gatewayId === key.gatewayId &&
    approval.argumentsDigest === key.argumentsDigest
  );
}

/** A page of a project's approvals, newest first; `beforeId` is the last id of the page before. */
export async function listApprovals(
  db: Db,
  request: {
    readonly projectId: ProjectId;
    readonly filter: ApprovalFilter;
    readonly now: number;
    readonly beforeId?: string | undefined;
    readonly limit: number;
  },
): Promise<ApprovalRecord[]> {
  const { projectId, filter, now, beforeId, limit } = request;
  let query = db
    .selectFrom('approvals')
    .selectAll()
    .where('project_id', '=', projectId)
    .where((where) => where.and(conditionsOf(where, filter, now)))
    .orderBy('id', 'desc')
    .limit(limit);
  if (beforeId !== undefined) query = query.where('id', '<', beforeId);
  return (await query.execute()).map(fromRow);
}

/** A project's approvals whose last change came after a version of the configuration, in the order of these changes. */
export async function listApprovalChanges(
  db: Db,
  request: {
    readonly projectId: ProjectId;
    readonly filter: ApprovalFilter;
    readonly now: number;
    readonly afterVersion: number;
    readonly limit: number;
  },
): Promise<ApprovalRecord[]> {
  const { projectId, filter, now, afterVersion, limit } = request;
  const rows = await db
    .selectFrom('approvals')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('change_version', '>', afterVersion)
    .where((where) => where.and(conditionsOf(where, filter, now)))
    .orderBy('change_version')
    .limit(limit)
    .execute();
  return rows.map(fromRow);
}

/** Ids of approvals that have expired at `now` (Unix milliseconds) though they are not stored so, the oldest first. */
export async function listExpiredApprovals(db: Db, now: number, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('approvals')
    .select('id')
    .where('state', 'in', ['pending', 'approved'])
    .where('expire_time', '<=', now)
    .orderBy('expire_time')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

function conditionsOf(where: ExpressionBuilder<Database, 'approvals'>, filter: ApprovalFilter, now: number) {
  const { state, requesterId, tool, visibility } = filter;
  const conditions = [];
  if (state !== undefined) conditions.push(stateCondition(where, state, now));
  if (requesterId !== undefined) conditions.push(where('principal_id', '=', requesterId));
  if (tool !== undefined) conditions.push(where('tool', '=', toStorable(tool)));
  if (visibility !== undefined) conditions.push(visibilityCondition(where, visibility));
  return conditions;
}

function stateCondition(where: ExpressionBuilder<Database, 'approvals'>, state: ApprovalState, now: number) {
  const stored = where('state', '=', state);
  switch (state) {
    case 'pending':
    case 'approved':
      return where.and([stored, where('expire_time', '>', now)]);
    case 'expired':
      return where.or([
        stored,
        where.and([where('state', 'in', ['pending', 'approved']), where('expire_time', '<=', now)]),
      ]);
    case 'denied':
    case 'consumed':
      return stored;
  }
}

function visibilityCondition(
  where: ExpressionBuilder<Database, 'approvals'>,
  { requesterId, upstreamSlugs, gatewayIds = [] }: ApprovalVisibility,
) {
  return where.or([
    where('principal_id', '=', requesterId),
    ...(upstreamSlugs.length === 0 ? [] : [where('upstream_slug', 'in', upstreamSlugs)]),
    ...(gatewayIds.length === 0 ? [] : [where('gateway_id', 'in', gatewayIds)]),
  ]);
}

/** What both databases can keep in a column: PostgreSQL takes neither NUL nor lone surrogates. */
function toStorable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

/** The fields that are in no column, and the names as the caller wrote them. */
type Body = Pick<
  Approval,
  | 'upstreamSlug'
  | 'method'
  | 'tool'
  | 'requester'
  | 'argumentsJson'
  | 'argumentsRedacted'
  | 'message'
  | 'ruleIds'
  | 'requirements'
  | 'votes'
>;

function toRow(approval: ApprovalRecord): Selectable<ApprovalTable> {
  const { upstreamSlug, method, tool, requester, argumentsJson, argumentsRedacted, message } = approval;
  const { ruleIds, requirements, votes } = approval;
  const names = { upstreamSlug, method, tool, requester };
  const recorded = { argumentsRedacted, ...(argumentsJson !== undefined && { argumentsJson }) };
  const body: Body = { ...names, ...recorded, message, ruleIds, requirements, votes };
  return {
    id: approval.id,
    project_id: approval.projectId,
    state: approval.state,
    call_id: approval.callId,
    principal_id: approval.principalId,
    upstream_slug: toStorable(upstreamSlug),
    gateway_id: approval.gatewayId ?? null,
    method: toStorable(method),
    tool: toStorable(tool),
    arguments_digest: approval.argumentsDigest,
    consume_call_id: approval.consumeCallId ?? null,
    expire_time: approval.expireTime,
    change_version: approval.changeVersion,
    body: JSON.stringify(body),
    revision: approval.revision,
    create_time: approval.createTime,
    update_time: approval.updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<ApprovalTable>): ApprovalRecord {
  return {
    ...(JSON.parse(row.body) as Body),
    id: row.id as ApprovalId,
    projectId: row.project_id as ProjectId,
    state: row.state,
    callId: row.call_id as CallId,
    principalId: row.principal_id as PrincipalId,
    ...(row.gateway_id !== null && { gatewayId: row.gateway_id as GatewayId }),
    argumentsDigest: row.arguments_digest,
    ...(row.consume_call_id !== null && { consumeCallId: row.consume_call_id as CallId }),
    expireTime: row.expire_time,
    changeVersion: row.change_version,
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

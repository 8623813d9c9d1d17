import type { Transaction } from 'kysely';
import {
  CreateUserRequestSchema,
  CreateUserResponseSchema,
  type CreateUserRequest,
  type DeleteUserRequest,
  type GetUserRequest,
  type ListUsersRequest,
  type UpdateUserRequest,
} from '../../gen/portcullis/v1/auth_service_pb.ts';
import { listApiKeys, revokeApiKey } from '../db/api-keys.ts';
import type { Changed } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import { endUserRefreshTokens } from '../db/refresh-tokens.ts';
import { countAdmins, deleteUser, findUser, insertUser, listUsers, type UserRecord, updateUser } from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type PrincipalId, type ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { checkEtag, staleEtag } from './etag.ts';
import { hidden } from './hidden.ts';
import { cutPage } from './paging.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import { fromScopeMessages } from './scope-message.ts';
import { targetProjectId } from './target-project.ts';
import { toUserMessage } from './user-message.ts';

export interface UserServiceDeps extends ApiDeps {
  /** Makes the text that is stored instead of a password; slow on purpose. */
  readonly hashPassword: (password: string) => Promise<string>;
}

/** Makes a user. Throws `already_exists` when the name is taken in any project. */
export async function createUser(deps: UserServiceDeps, caller: Principal, request: CreateUserRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const passwordHash = await deps.hashPassword(request.password);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateUserRequestSchema, response: CreateUserResponseSchema },
    async write(trx, changed) {
      const now = Date.now();
      const user: UserRecord = {
        id: newId<PrincipalId>(now),
        projectId,
        username: request.username,
        email: request.email,
        passwordHash,
        scopes: fromScopeMessages(request.scopes),
        disabled: false,
        tokensValidAfter: 0,
        revision: 1,
        createTime: now,
        updateTime: now,
      };
      await insertUser(trx, user);
      changed('user', user.id);
      return { user: toUserMessage(user) };
    },
  });
}

/** Reads a user of the project. */
export async function getUser(deps: UserServiceDeps, caller: Principal, request: GetUserRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  return { user: toUserMessage(await getUserOf(deps.store.db, projectId, request.id)) };
}

/** A page of the project's users, oldest first. */
export async function listUserPage(deps: UserServiceDeps, caller: Principal, request: ListUsersRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const scope = { method: 'ListUsers', caller, filter: [projectId] };
  const page = await deps.paging.open(scope, request);
  const rows = await listUsers(deps.store.db, { projectId, afterId: page.after, limit: page.size + 1 });
  const { items, last } = cutPage(rows, page);
  return { users: items.map(toUserMessage), nextPageToken: await deps.paging.next(scope, last) };
}

/** Changes what the request sets. Throws `etag_mismatch`, or `failed_precondition` when no admin would be left. */
export async function updateUserById(deps: UserServiceDeps, caller: Principal, request: UpdateUserRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const passwordHash = request.password === undefined ? undefined : await deps.hashPassword(request.password);
  const user = await writeConfig(deps.store, async (trx, changed) => {
    const old = await getUserOf(trx, projectId, request.id);
    checkEtag('user', old, request.etag);
    const now = Date.now();
    const endsTokens = passwordHash !== undefined || request.disabled === true;
    const changes = present({
      email: request.email,
      scopes: request.scopes && fromScopeMessages(request.scopes.scopes),
      disabled: request.disabled,
      passwordHash,
      tokensValidAfter: endsTokens ? now : undefined,
    });
    const updated = await updateUser(trx, old.id, old.revision, { ...changes, updateTime: now });
    if (endsTokens) {
      await endUserRefreshTokens(trx, old.id);
    }
    await checkAdminLeft(trx, projectId, old);
    changed('user', old.id);
    return updated ?? old;
  });
  return { user: toUserMessage(user) };
}

/** Deletes a user and revokes its keys. Throws `etag_mismatch`, or `failed_precondition` when no admin would be left. */
export async function deleteUserById(deps: UserServiceDeps, caller: Principal, request: DeleteUserRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  await writeConfig(deps.store, async (trx, changed) => {
    const old = await getUserOf(trx, projectId, request.id);
    checkEtag('user', old, request.etag);
    await revokeKeysOf(trx, projectId, old.id, changed);
    await deleteUser(trx, old.id);
    await checkAdminLeft(trx, projectId, old);
    changed('user', old.id);
  });
  return {};
}

async function getUserOf(db: ApiDeps['store']['db'], projectId: ProjectId, id: string): Promise<UserRecord> {
  const user = await findUser(db, id as PrincipalId); // any id; only one of the project is let through
  if (user === undefined || user.projectId !== projectId) {
    throw hidden('user', id);
  }
  return user;
}

/** Nobody could undo it: a project that loses its last admin is refused, one that never had any is not. */
async function checkAdminLeft(trx: Transaction<Database>, projectId: ProjectId, old: UserRecord): Promise<void> {
  const wasAdmin = !old.disabled && old.scopes.includes('admin');
  if (wasAdmin && (await countAdmins(trx, projectId)) === 0) {
    const message = `"${old.username}" is the last enabled admin of the project. Make another user an admin first.`;
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'last_admin' } });
  }
}

async function revokeKeysOf(
  trx: Transaction<Database>,
  projectId: ProjectId,
  ownerId: PrincipalId,
  changed: Changed,
): Promise<void> {
  const now = Date.now();
  let afterId: string | undefined;
  do {
    const keys = await listApiKeys(trx, { projectId, ownerId, afterId, limit: 250 });
    for (const key of keys) {
      await revokeApiKey(trx, key.id, now);
      changed('api_key', key.id);
    }
    afterId = keys.at(-1)?.id;
  } while (afterId !== undefined);
}

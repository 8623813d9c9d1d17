import type { Kysely, Transaction } from 'kysely';
import { findPasswordProblem } from '../config/secret-strength.ts';
import { lockConfig, withChanges } from '../db/config-changes.ts';
import type { Database } from '../db/database.ts';
import { endUserRefreshTokens } from '../db/refresh-tokens.ts';
import type { Store } from '../db/store.ts';
import { countAdmins, deleteUser, findUser, insertUser, type UserRecord, updateUser } from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type PrincipalId, type ProjectId } from '../domain/ids.ts';
import type { Principal, Scope } from '../domain/principal.ts';
import { hiddenResource, refuseField, requireOwnScopes, requireRevision } from './access-rules.ts';
import type { Passwords } from './password.ts';

/** What the functions on users work with. */
export interface UserServiceDeps {
  readonly store: Store;
  readonly passwords: Passwords;
  readonly now: () => number;
}

/** Something written in the same transaction as what was created, such as the answer kept for a repeat of the request. */
export type Alongside<Created> = (trx: Transaction<Database>, created: Created) => Promise<void>;

export interface NewUser {
  readonly projectId: ProjectId;
  readonly username: string;
  readonly password: string;
  /** For people; may be empty. */
  readonly email: string;
  readonly scopes: readonly Scope[];
}

/** Changes of a user; what is absent stays. */
export interface UserUpdate {
  readonly email?: string;
  readonly scopes?: readonly Scope[];
  readonly disabled?: boolean;
  readonly password?: string;
}

/** Which user is meant, and the revision that was read; undefined = any. */
export interface UserTarget {
  readonly projectId: ProjectId;
  readonly id: PrincipalId;
  readonly revision: number | undefined;
}

/** Creates a user. Throws `already_exists` for a taken name, `permission_denied` for scopes beyond the caller's. */
export async function addUser(
  deps: UserServiceDeps,
  caller: Principal,
  input: NewUser,
  alongside?: Alongside<UserRecord>,
): Promise<UserRecord> {
  requireOwnScopes(caller, input.scopes);
  const user = await draftUser(deps, input);
  return withChanges(deps.store, async (trx, changed) => {
    await insertUser(trx, user);
    changed('user', user.id);
    await alongside?.(trx, user);
    return user;
  });
}

/** A user that is not stored yet. Throws `validation_failed` for a password that breaks the rules. */
export async function draftUser(
  { passwords, now }: Omit<UserServiceDeps, 'store'>,
  input: NewUser,
): Promise<UserRecord> {
  const { password, ...fields } = input;
  requireGoodPassword(password, 'password');
  const time = now();
  return {
    ...fields,
    id: newId(time),
    passwordHash: await passwords.hash(password),
    disabled: false,
    tokensValidAfter: 0,
    revision: 1,
    createTime: time,
    updateTime: time,
  };
}

/**
 * Changes a user; a new password, and disabling, end all its tokens. Throws `permission_denied` for a user of another project or scopes
 * beyond the caller's, `etag_mismatch`, and `failed_precondition` when the project would be left without an enabled admin.
 */
export async function changeUser(
  deps: UserServiceDeps,
  caller: Principal,
  target: UserTarget,
  update: UserUpdate,
): Promise<UserRecord> {
  const { password, ...changes } = update;
  requireOwnScopes(caller, changes.scopes ?? []);
  const passwordHash = password === undefined ? undefined : await hashNew(deps, password, 'password');
  return withChanges(deps.store, async (trx, changed) => {
    const user = await lockUser(trx, target);
    changed('user', user.id);
    const endsTokens = passwordHash !== undefined || changes.disabled === true;
    return write(deps, trx, user, { ...changes, ...(passwordHash !== undefined && { passwordHash }) }, endsTokens);
  });
}

/** Deletes a user with its API keys and tokens; throws as {@link changeUser} does. */
export async function removeUser(deps: UserServiceDeps, target: UserTarget): Promise<void> {
  await withChanges(deps.store, async (trx, changed) => {
    const user = await lockUser(trx, target);
    const keyIds = await deleteKeysOf(trx, user.id);
    await deleteUser(trx, user.id);
    await requireAdminLeft(trx, user);
    changed('user', user.id);
    for (const id of keyIds) {
      changed('api_key', id);
    }
  });
}

/** The stored user behind a caller; throws `failed_precondition` when the caller is none, as with authentication switched off. */
export async function findOwnUser(db: Kysely<Database>, caller: Principal): Promise<UserRecord> {
  const user = caller.kind === 'user' ? await findUser(db, caller.id) : undefined;
  if (user === undefined) {
    throw new GatewayError('failed_precondition', 'The caller is not a User, so it has no password.');
  }
  return user;
}

/** Sets the password of a user who proved to know the old one, and ends the user's tokens; `etag_mismatch` when it changed since. */
export async function changeOwnPassword(deps: UserServiceDeps, user: UserRecord, newPassword: string): Promise<void> {
  const passwordHash = await hashNew(deps, newPassword, 'new_password');
  await withChanges(deps.store, async (trx, changed) => {
    const current = await lockUser(trx, user);
    changed('user', user.id);
    await write(deps, trx, current, { passwordHash }, true);
  });
}

async function write(
  { now }: UserServiceDeps,
  trx: Transaction<Database>,
  user: UserRecord,
  changes: Omit<Parameters<typeof updateUser>[3], 'updateTime' | 'tokensValidAfter'>,
  endsTokens: boolean,
): Promise<UserRecord> {
  const time = now();
  if (endsTokens) {
    await endUserRefreshTokens(trx, user.id);
  }
  const ending = endsTokens ? { tokensValidAfter: Math.max(time, user.tokensValidAfter) } : {};
  const written = await updateUser(trx, user.id, user.revision, { ...changes, ...ending, updateTime: time });
  if (written === undefined) {
    throw hiddenResource('user');
  }
  await requireAdminLeft(trx, user);
  return written;
}

/** The user, with all other writers of the configuration held off: two admins can't remove each other at once. */
async function lockUser(trx: Transaction<Database>, target: UserTarget): Promise<UserRecord> {
  await lockConfig(trx);
  const user = await findUser(trx, target.id);
  if (user === undefined || user.projectId !== target.projectId) {
    throw hiddenResource('user');
  }
  requireRevision('user', user, target.revision);
  return user;
}

/** The ids of the deleted keys. */
async function deleteKeysOf(trx: Transaction<Database>, ownerId: PrincipalId): Promise<string[]> {
  const rows = await trx.deleteFrom('api_keys').where('owner_id', '=', ownerId).returning('id').execute();
  return rows.map((row) => row.id);
}

/** `before` is the user as it was: only who was an admin can have been the last one. */
async function requireAdminLeft(trx: Transaction<Database>, before: UserRecord): Promise<void> {
  const wasAdmin = !before.disabled && before.scopes.includes('admin');
  if (wasAdmin && (await countAdmins(trx, before.projectId)) === 0) {
    const message = 'The project would be left without an enabled admin. Give another user the scope admin first.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'last_admin' } });
  }
}

async function hashNew({ passwords }: UserServiceDeps, password: string, field: string): Promise<string> {
  requireGoodPassword(password, field);
  return passwords.hash(password);
}

function requireGoodPassword(password: string, field: string): void {
  const problem = findPasswordProblem(password);
  if (problem !== undefined) {
    refuseField(field, problem);
  }
}

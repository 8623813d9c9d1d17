import type { Kysely, Transaction } from 'kysely';
import { findPasswordProblem } from '../config/secret-strength.ts';
import { listAgents, updateAgent } from '../db/agents.ts';
import { listApiKeys, revokeApiKey } from '../db/api-keys.ts';
import type { Database } from '../db/database.ts';
import { endUserRefreshTokens } from '../db/refresh-tokens.ts';
import {
  countAdmins,
  deleteUser,
  findUser,
  insertUser,
  type UserChanges,
  type UserRecord,
  updateUser,
} from '../db/users.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type PrincipalId, type ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { hiddenResource, refuseField, requireOwnScopes, requireRevision } from './access-rules.ts';
import type { ConfigWriting } from './config-writing.ts';
import type { Passwords } from './password.ts';

/** What a new user needs; the password was hashed with {@link hashNewPassword} before the transaction began. */
export type NewUser = Pick<UserRecord, 'projectId' | 'username' | 'email' | 'scopes' | 'teams' | 'passwordHash'>;

/** Changes of a user; what is absent stays. */
export type UserUpdate = Partial<Pick<UserRecord, 'email' | 'scopes' | 'teams' | 'disabled' | 'passwordHash'>>;

/** Which user is meant, and the revision that was read; undefined = any. */
export interface UserTarget {
  readonly projectId: ProjectId;
  readonly id: PrincipalId;
  readonly revision: number | undefined;
}

/** What is read at once of the keys and agents of a removed user. */
const PAGE = 250;

/** The hash of a password that a user chose; throws `validation_failed` naming `field` when it breaks the rules. */
export async function hashNewPassword(passwords: Passwords, field: string, password: string): Promise<string> {
  const problem = findPasswordProblem(password);
  if (problem !== undefined) {
    refuseField(field, problem);
  }
  return passwords.hash(password);
}

/** A user that is not stored yet. */
export function draftUser(input: NewUser, createTime: number): UserRecord {
  return {
    ...input,
    id: newId(createTime),
    disabled: false,
    tokensValidAfter: 0,
    revision: 1,
    createTime,
    updateTime: createTime,
  };
}

/** Creates a user. Throws `already_exists` for a taken name, `permission_denied` for scopes beyond the caller's. */
export async function addUser(writing: ConfigWriting, caller: Principal, input: NewUser): Promise<UserRecord> {
  requireOwnScopes(caller, input.scopes);
  const user = draftUser(input, writing.now);
  await insertUser(writing.trx, user);
  writing.changed('user', user.id);
  return user;
}

/**
 * Changes a user; a new password, and disabling, end all its tokens. Throws `permission_denied` for a user of another project or scopes
 * beyond the caller's, `etag_mismatch`, and `failed_precondition` when the project would be left without an enabled admin.
 */
export async function changeUser(
  writing: ConfigWriting,
  caller: Principal,
  target: UserTarget,
  update: UserUpdate,
): Promise<UserRecord> {
  requireOwnScopes(caller, update.scopes ?? []);
  const user = await getTarget(writing.trx, target);
  return writeUser(writing, user, update);
}

/** Sets the password of a user who proved to know the old one; `etag_mismatch` when the user changed since. */
export async function changeOwnPassword(writing: ConfigWriting, user: UserRecord, passwordHash: string): Promise<void> {
  await writeUser(writing, await getTarget(writing.trx, user), { passwordHash });
}

/** Deletes a user with its tokens and revokes its API keys; throws as {@link changeUser} does. */
export async function removeUser(writing: ConfigWriting, target: UserTarget): Promise<void> {
  const user = await getTarget(writing.trx, target);
  await revokeKeysOf(writing, user.id);
  await releaseAgentsOf(writing, user);
  await deleteUser(writing.trx, user.id);
  await requireAdminLeft(writing.trx, user);
  writing.changed('user', user.id);
}

/** The stored user behind an id; throws `failed_precondition` when it is none, as with authentication switched off. */
export async function getUserWithPassword(db: Kysely<Database>, id: PrincipalId): Promise<UserRecord> {
  const user = await findUser(db, id);
  if (user === undefined) {
    const message = 'The caller is not a User, so it has no password.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'not_a_user' } });
  }
  return user;
}

async function getTarget(trx: Transaction<Database>, target: UserTarget): Promise<UserRecord> {
  const user = await findUser(trx, target.id);
  if (user === undefined || user.projectId !== target.projectId) {
    throw hiddenResource('user', target.id);
  }
  requireRevision('user', user, target.revision);
  return user;
}

async function writeUser(
  { trx, changed, now }: ConfigWriting,
  user: UserRecord,
  update: UserUpdate,
): Promise<UserRecord> {
  const changes: UserChanges = { ...update, updateTime: now };
  const endsTokens = update.passwordHash !== undefined || update.disabled === true;
  if (endsTokens) {
    await endUserRefreshTokens(trx, user.id);
  }
  const ending = endsTokens && { tokensValidAfter: Math.max(now, user.tokensValidAfter) };
  const written = await updateUser(trx, user.id, user.revision, { ...changes, ...ending });
  if (written === undefined) {
    throw hiddenResource('user', user.id);
  }
  await requireAdminLeft(trx, user);
  changed('user', user.id);
  return written;
}

/** They stay readable, as the decisions made with them do. */
async function revokeKeysOf({ trx, changed, now }: ConfigWriting, ownerId: PrincipalId): Promise<void> {
  let afterId: string | undefined;
  do {
    const keys = await listApiKeys(trx, { ownerId, afterId, limit: PAGE });
    for (const key of keys) {
      await revokeApiKey(trx, key.id, now);
      changed('api_key', key.id);
    }
    afterId = keys.at(-1)?.id;
  } while (afterId !== undefined);
}

/** They stay, with nobody who answers for them. */
async function releaseAgentsOf({ trx, changed, now }: ConfigWriting, { id, projectId }: UserRecord): Promise<void> {
  let afterId: string | undefined;
  do {
    const agents = await listAgents(trx, { projectId, afterId, limit: PAGE });
    for (const agent of agents.filter(({ ownerId }) => ownerId === id)) {
      await updateAgent(trx, agent.id, agent.revision, { ownerId: undefined, updateTime: now });
      changed('agent', agent.id);
    }
    afterId = agents.at(-1)?.id;
  } while (afterId !== undefined);
}

/** `before` is the user as it was: only who was an admin can have been the last one. */
async function requireAdminLeft(trx: Transaction<Database>, before: UserRecord): Promise<void> {
  const wasAdmin = !before.disabled && before.scopes.includes('admin');
  if (wasAdmin && (await countAdmins(trx, before.projectId)) === 0) {
    const message = 'The project would be left without an enabled admin. Give another user the scope admin first.';
    throw new GatewayError('failed_precondition', message, { metadata: { condition: 'last_admin' } });
  }
}

import { type Kysely, type Selectable, sql, type Updateable } from 'kysely';
import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId, ProjectId } from '../domain/ids.ts';
import type { Scope } from '../domain/principal.ts';
import type { Database, UserTable } from './database.ts';
import { isUniqueViolation } from './violations.ts';

type Db = Kysely<Database>;

/** A human who may log in, as stored. */
export interface UserRecord {
  readonly id: PrincipalId;
  readonly projectId: ProjectId;
  /** Unique over all projects, compared in lower case. */
  readonly username: string;
  readonly email: string;
  /** `scrypt$N$r$p$salt$hash`, base64url parts. */
  readonly passwordHash: string;
  readonly scopes: readonly Scope[];
  /** Names, for the subjects of policies. */
  readonly teams: readonly string[];
  readonly disabled: boolean;
  /** Unix milliseconds; tokens issued before are refused. */
  readonly tokensValidAfter: number;
  /** Counts up with every change; the etag of the resource. */
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}

/** What an update of a user may set; `updateTime` in Unix milliseconds. */
export type UserChanges = Partial<
  Pick<UserRecord, 'username' | 'email' | 'passwordHash' | 'scopes' | 'teams' | 'disabled' | 'tokensValidAfter'>
> & { readonly updateTime: number };

/** Stores a new user; throws `already_exists` when the name is taken in any project. */
export async function insertUser(db: Db, user: UserRecord): Promise<void> {
  await db.insertInto('users').values(toRow(user)).execute().catch(usernameTaken);
}

/** The user with this id. */
export async function findUser(db: Db, id: PrincipalId): Promise<UserRecord | undefined> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
  return row && fromRow(row);
}

/** The user with this name, in any project; upper and lower case are the same. */
export async function findUserByUsername(db: Db, username: string): Promise<UserRecord | undefined> {
  const row = await db
    .selectFrom('users')
    .selectAll()
    .where(sql<boolean>`lower(username) = lower(${username})`)
    .executeTakeFirst();
  return row && fromRow(row);
}

/** A page of users, oldest first, of one project or (for the snapshot) of all. */
export async function listUsers(
  db: Db,
  page: {
    readonly projectId?: ProjectId | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  },
): Promise<UserRecord[]> {
  let query = db.selectFrom('users').selectAll().orderBy('id').limit(page.limit);
  if (page.projectId !== undefined) query = query.where('project_id', '=', page.projectId);
  if (page.afterId !== undefined) query = query.where('id', '>', page.afterId);
  return (await query.execute()).map(fromRow);
}

/** Writes the changes and counts `revision` up; undefined when the stored revision is another one or the user is gone. */
export async function updateUser(
  db: Db,
  id: PrincipalId,
  revision: number,
  changes: UserChanges,
): Promise<UserRecord | undefined> {
  const row = await db
    .updateTable('users')
    .set({ ...toColumns(changes), revision: revision + 1 })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .returningAll()
    .executeTakeFirst()
    .catch(usernameTaken);
  return row && fromRow(row);
}

/** Deletes a user with its refresh tokens; its ApiKeys stay, without an owner and so refused. False when there is none. */
export async function deleteUser(db: Db, id: PrincipalId): Promise<boolean> {
  const result = await db.deleteFrom('users').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** How many users of the project are enabled and have the `admin` scope, so that the last one is not removed. */
export async function countAdmins(db: Db, projectId: ProjectId): Promise<number> {
  const row = await db
    .selectFrom('users')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('project_id', '=', projectId)
    .where('disabled', '=', 0)
    .where('scopes', 'like', '%"admin"%')
    .executeTakeFirstOrThrow();
  return row.count;
}

function usernameTaken(error: unknown): never {
  if (!isUniqueViolation(error)) throw error;
  throw new GatewayError('already_exists', 'There is a user with this name. Choose another name.', { cause: error });
}

function toColumns(changes: UserChanges): Updateable<UserTable> {
  const { username, email, passwordHash, scopes, teams, disabled, tokensValidAfter, updateTime } = changes;
  return {
    update_time: updateTime,
    ...(username !== undefined && { username }),
    ...(email !== undefined && { email }),
    ...(passwordHash !== undefined && { password_hash: passwordHash }),
    ...(scopes !== undefined && { scopes: JSON.stringify(scopes) }),
    ...(teams !== undefined && { teams: JSON.stringify(teams) }),
    ...(disabled !== undefined && { disabled: disabled ? 1 : 0 }),
    ...(tokensValidAfter !== undefined && { tokens_valid_after: tokensValidAfter }),
  };
}

function toRow(user: UserRecord): Selectable<UserTable> {
  return {
    id: user.id,
    project_id: user.projectId,
    username: user.username,
    email: user.email,
    password_hash: user.passwordHash,
    scopes: JSON.stringify(user.scopes),
    teams: JSON.stringify(user.teams),
    disabled: user.disabled ? 1 : 0,
    tokens_valid_after: user.tokensValidAfter,
    revision: user.revision,
    create_time: user.createTime,
    update_time: user.updateTime,
  };
}

/** The domain object of a row; the casts trust what the functions above wrote. */
function fromRow(row: Selectable<UserTable>): UserRecord {
  return {
    id: row.id as PrincipalId,
    projectId: row.project_id as ProjectId,
    username: row.username,
    email: row.email,
    passwordHash: row.password_hash,
    scopes: JSON.parse(row.scopes) as Scope[],
    teams: JSON.parse(row.teams) as string[],
    disabled: row.disabled !== 0,
    tokensValidAfter: row.tokens_valid_after,
    revision: row.revision,
    createTime: row.create_time,
    updateTime: row.update_time,
  };
}

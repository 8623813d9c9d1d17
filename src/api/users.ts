import {
  type CreateUserRequest,
  CreateUserRequestSchema,
  CreateUserResponseSchema,
  type DeleteUserRequest,
  type GetUserRequest,
  type ListUsersRequest,
  type UpdateUserRequest,
} from '../../gen/portcullis/v1/auth_service_pb.ts';
import type { Passwords } from '../authn/password.ts';
import { addUser, changeUser, hashNewPassword, removeUser, type UserTarget } from '../authn/user-service.ts';
import { findUser, listUsers } from '../db/users.ts';
import type { PrincipalId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { writeConfig } from './config-write.ts';
import type { ApiDeps } from './deps.ts';
import { revisionOf } from './etag.ts';
import { hidden } from './hidden.ts';
import { readPage } from './page-reading.ts';
import { present } from './present.ts';
import { runOnce } from './repeatable.ts';
import { fromScopeMessages } from './scope-message.ts';
import { targetProjectId } from './target-project.ts';
import { toUserMessage } from './user-message.ts';

export interface UserDeps extends ApiDeps {
  readonly passwords: Passwords;
}

/** Makes a user. Throws as `addUser` does. */
export async function createUser(deps: UserDeps, caller: Principal, request: CreateUserRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { username, email, teams } = request;
  const passwordHash = await hashNewPassword(deps.passwords, 'password', request.password);
  const scopes = fromScopeMessages(request.scopes);
  return runOnce(deps, {
    caller,
    projectId,
    request,
    schemas: { request: CreateUserRequestSchema, response: CreateUserResponseSchema },
    async write(writing) {
      const user = await addUser(writing, caller, {
        projectId,
        username,
        email,
        scopes,
        teams: teams?.teams ?? [],
        passwordHash,
      });
      return { user: toUserMessage(user) };
    },
  });
}

/** Reads a user of the project. Throws `permission_denied` when it is none. */
export async function readUser(deps: UserDeps, caller: Principal, request: GetUserRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const user = await findUser(deps.store.db, toUserId(request.id));
  if (user === undefined || user.projectId !== projectId) {
    throw hidden('user', request.id);
  }
  return { user: toUserMessage(user) };
}

/** A page of the project's users, oldest first. */
export async function listUserPage(deps: UserDeps, caller: Principal, request: ListUsersRequest) {
  const projectId = await targetProjectId(deps, caller, request.project);
  const { items, nextPageToken } = await readPage(deps.paging, {
    scope: { method: 'ListUsers', caller, filter: [projectId] },
    request,
    read: (rows) => listUsers(deps.store.db, { projectId, ...rows }),
  });
  return { users: items.map(toUserMessage), nextPageToken };
}

/** Changes what the request sets. Throws as `changeUser` does. */
export async function updateUser(deps: UserDeps, caller: Principal, request: UpdateUserRequest) {
  const target = await targetOf(deps, caller, request);
  const { email, disabled, password } = request;
  const update = present({
    email,
    disabled,
    scopes: request.scopes && fromScopeMessages(request.scopes.scopes),
    teams: request.teams?.teams,
    passwordHash: password === undefined ? undefined : await hashNewPassword(deps.passwords, 'password', password),
  });
  const user = await writeConfig(deps.store, (writing) => changeUser(writing, caller, target, update));
  return { user: toUserMessage(user) };
}

/** Deletes a user. Throws as `removeUser` does. */
export async function deleteUser(deps: UserDeps, caller: Principal, request: DeleteUserRequest) {
  const target = await targetOf(deps, caller, request);
  await writeConfig(deps.store, (writing) => removeUser(writing, target));
  return {};
}

async function targetOf(
  deps: UserDeps,
  caller: Principal,
  request: UpdateUserRequest | DeleteUserRequest,
): Promise<UserTarget> {
  const projectId = await targetProjectId(deps, caller, request.project);
  return { projectId, id: toUserId(request.id), revision: revisionOf(request.etag) };
}

/** Any text of a request; it finds nothing when it is not the id of a user. */
function toUserId(text: string): PrincipalId {
  return text as PrincipalId;
}

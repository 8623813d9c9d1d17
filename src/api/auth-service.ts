import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId } from '../domain/ids.ts';
import { toCallerMessage } from './caller-message.ts';
import { getCaller, getRequestFacts } from './context.ts';
import type { UserServiceDeps } from './users.ts';
import { createUser, deleteUserById, getUser, listUserPage, updateUserById } from './users.ts';

/** What a login or a refresh gives. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** End of the access token, Unix milliseconds. */
  readonly expireTime: number;
}

/** Checks passwords and refresh tokens; throws `invalid_credentials`, or `rate_limit_exceeded` after too many attempts. */
export interface Logins {
  login(username: string, password: string, clientAddress: string): Promise<Tokens>;
  refresh(refreshToken: string): Promise<Tokens>;
  changePassword(userId: PrincipalId, currentPassword: string, newPassword: string): Promise<void>;
}

export interface AuthServiceDeps extends UserServiceDeps {
  readonly logins: Logins;
}

/** Serves AuthService. */
export function createAuthService(deps: AuthServiceDeps): ServiceImpl<typeof AuthService> {
  const { logins } = deps;
  return {
    async login(request, context) {
      const { clientAddress = '' } = getRequestFacts(context.values);
      return toTokenResponse(await logins.login(request.username, request.password, clientAddress));
    },
    refreshToken: async (request) => toTokenResponse(await logins.refresh(request.refreshToken)),
    getCaller: (_request, context) => ({ caller: toCallerMessage(getCaller(context.values)) }),
    async changePassword(request, context) {
      const caller = getCaller(context.values);
      if (caller.kind !== 'user') {
        throw new GatewayError('failed_precondition', 'Only users have a password.', {
          metadata: { condition: 'not_a_user' },
        });
      }
      await logins.changePassword(caller.id, request.currentPassword, request.newPassword);
      return {};
    },
    createUser: (request, context) => createUser(deps, getCaller(context.values), request),
    getUser: (request, context) => getUser(deps, getCaller(context.values), request),
    listUsers: (request, context) => listUserPage(deps, getCaller(context.values), request),
    updateUser: (request, context) => updateUserById(deps, getCaller(context.values), request),
    deleteUser: (request, context) => deleteUserById(deps, getCaller(context.values), request),
  };
}

function toTokenResponse({ expireTime, ...tokens }: Tokens) {
  return { ...tokens, expireTime: timestampFromMs(expireTime) };
}

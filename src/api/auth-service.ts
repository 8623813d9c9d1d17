import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import type { LoginService, TokenPair } from '../authn/login-service.ts';
import { GatewayError } from '../domain/errors.ts';
import { toCallerMessage } from './caller-message.ts';
import { getCaller, getRequestFacts } from './context.ts';
import { createUser, deleteUser, listUserPage, readUser, type UserDeps, updateUser } from './users.ts';

export interface AuthServiceDeps extends UserDeps {
  readonly logins: LoginService;
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
        const message = 'The caller is an Agent, so it has no password.';
        throw new GatewayError('failed_precondition', message, { metadata: { condition: 'not_a_user' } });
      }
      await logins.changePassword(caller.id, request.currentPassword, request.newPassword);
      return {};
    },
    createUser: (request, context) => createUser(deps, getCaller(context.values), request),
    getUser: (request, context) => readUser(deps, getCaller(context.values), request),
    listUsers: (request, context) => listUserPage(deps, getCaller(context.values), request),
    updateUser: (request, context) => updateUser(deps, getCaller(context.values), request),
    deleteUser: (request, context) => deleteUser(deps, getCaller(context.values), request),
  };
}

function toTokenResponse({ expireTime, ...tokens }: TokenPair) {
  return { ...tokens, expireTime: timestampFromMs(expireTime) };
}

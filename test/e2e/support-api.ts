import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import type { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { ConnectionSharing } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';

/** A client of one service of a running gateway, over HTTP/1.1, with the gateway's first key or another credential. */
export function apiOf<Service extends DescService>(
  gateway: Pick<GatewayProcess, 'baseUrl' | 'apiKey'>,
  service: Service,
  credential: string = gateway.apiKey,
): Client<Service> {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set('authorization', `Bearer ${credential}`);
    return next(request);
  };
  return createClient(
    service,
    createConnectTransport({ baseUrl: gateway.baseUrl, httpVersion: '1.1', interceptors: [authorize] }),
  );
}

/** A new user of the project `default` with these scopes and a key that carries all of them. */
export async function addUserWithKey(gateway: GatewayProcess, username: string, scopes: Scope[]) {
  const stranger = apiOf(gateway, AuthService, 'none');
  const { accessToken } = await stranger.login({ username: 'admin', password: gateway.adminPassword });
  const password = 'a-password-of-no-use-77';
  const { user } = await apiOf(gateway, AuthService, accessToken).createUser({ username, password, scopes });
  const ownerId = user?.id ?? '';
  const made = await apiOf(gateway, ApiKeyService, accessToken).createApiKey({
    ownerId,
    scopes,
    grants: { allUpstreams: true },
  });
  return { userId: ownerId, apiKey: made.secret, apiKeyId: made.apiKey?.id ?? '' };
}

/** The transport of an upstream over streamable HTTP. */
export function streamableHttp(url: string) {
  return { value: { case: 'streamableHttp' as const, value: { url } } };
}

/** The transport of an upstream over two-endpoint SSE. */
export function sse(url: string) {
  return { value: { case: 'sse' as const, value: { url } } };
}

/** The transport of an upstream that is a local process. */
export function stdio(command: string, args: string[], sharing: ConnectionSharing = ConnectionSharing.PER_PRINCIPAL) {
  return { value: { case: 'stdio' as const, value: { command, args, sharing } } };
}

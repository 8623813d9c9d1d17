import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError, type ConnectRouter, type ServiceImpl } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { onTestFinished } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { AgentService } from '../../gen/portcullis/v1/agent_service_pb.ts';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { ApprovalService } from '../../gen/portcullis/v1/approval_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { StatsService } from '../../gen/portcullis/v1/stats_service_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';

/** The methods that a test needs; every other is UNIMPLEMENTED. */
export interface FakeServices {
  projects?: Partial<ServiceImpl<typeof ProjectService>>;
  auth?: Partial<ServiceImpl<typeof AuthService>>;
  apiKeys?: Partial<ServiceImpl<typeof ApiKeyService>>;
  upstreams?: Partial<ServiceImpl<typeof UpstreamService>>;
  tools?: Partial<ServiceImpl<typeof ToolService>>;
  decisions?: Partial<ServiceImpl<typeof DecisionService>>;
  agents?: Partial<ServiceImpl<typeof AgentService>>;
  approvals?: Partial<ServiceImpl<typeof ApprovalService>>;
  policies?: Partial<ServiceImpl<typeof PolicyService>>;
  stats?: Partial<ServiceImpl<typeof StatsService>>;
}

export interface FakeGateway {
  readonly baseUrl: string;
  /** Every request so far: HTTP method, path without query, and the two headers that matter. */
  readonly requests: {
    method: string;
    path: string;
    authorization: string | undefined;
    contentType: string | undefined;
  }[];
  /** Breaks every open connection, as a network does. */
  cutConnections(): void;
}

/** What to answer with in place of the services. */
export type RawAnswer = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves fake services over real sockets until the test ends. `answer` may return what answers a request in their place. */
export async function startFakeGateway(
  services: FakeServices,
  answer: (requestNumber: number) => RawAnswer | undefined = () => undefined,
): Promise<FakeGateway> {
  const requests: FakeGateway['requests'] = [];
  const shutdown = new AbortController();
  const adapter = connectNodeAdapter({ routes: routesOf(services), shutdownSignal: shutdown.signal });
  const server = createServer((request, response) => {
    const { authorization, 'content-type': contentType } = request.headers;
    const path = (request.url ?? '').replace(/\?.*/, '');
    requests.push({ method: request.method ?? '', path, authorization, contentType });
    (answer(requests.length) ?? adapter)(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    shutdown.abort();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return { baseUrl: `http://127.0.0.1:${port}`, requests, cutConnections: () => server.closeAllConnections() };
}

/** The routes of fake services, for a router transport too. */
export function routesOf(services: FakeServices): (router: ConnectRouter) => void {
  return (router) => {
    router.service(ProjectService, services.projects ?? {});
    router.service(AuthService, services.auth ?? {});
    router.service(ApiKeyService, services.apiKeys ?? {});
    router.service(UpstreamService, services.upstreams ?? {});
    router.service(ToolService, services.tools ?? {});
    router.service(DecisionService, services.decisions ?? {});
    router.service(AgentService, services.agents ?? {});
    router.service(ApprovalService, services.approvals ?? {});
    router.service(PolicyService, services.policies ?? {});
    router.service(StatsService, services.stats ?? {});
  };
}

/** An error as the gateway sends it: a code and the reason of the contract, such as `ERROR_REASON_TOKEN_EXPIRED`. */
export function refusal(code: Code, reason: string, message = 'No.'): ConnectError {
  return new ConnectError(message, code, undefined, [
    { desc: ErrorInfoSchema, value: { reason, domain: 'portcullis' } },
  ]);
}

/** The refusal of an expired token. */
export function tokenExpired(): ConnectError {
  return refusal(Code.Unauthenticated, 'ERROR_REASON_TOKEN_EXPIRED', 'The access token has expired.');
}

/** A URL at which nothing listens. */
export async function unusedUrl(): Promise<string> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createRouterTransport, type ServiceImpl } from '@connectrpc/connect';
import { expect } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { AuthorizeResponseSchema, type ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { createPortcullisClient, type PortcullisClientOptions } from '../src/client.ts';
import { createGuard, type Denial, type GuardOptions } from '../src/guard.ts';
import { type RawAnswer, routesOf, startFakeGateway } from './fake-gateway.ts';

/** How a fake gateway answers Authorize. */
export type AuthorizeMethod = ServiceImpl<typeof ToolService>['authorize'];

/** Answers of Authorize. */
export const ALLOWED = { outcome: Effect.ALLOW, decisionId: 'd1', reason: DecisionReason.RULE };
export const DENIED = {
  outcome: Effect.DENY,
  decisionId: 'd2',
  reason: DecisionReason.RULE,
  ruleIds: ['refunds/limit'],
  message: 'Refunds above 100 are not allowed.',
};
export const NEEDS_APPROVAL = {
  outcome: Effect.REQUIRE_APPROVAL,
  decisionId: 'd3',
  reason: DecisionReason.RULE,
  message: 'Refunds need approval.',
  approvalId: 'a1',
  approvalExpireTime: timestampFromMs(1_900_000_000_000),
};

/** A client whose gateway answers Authorize so, over no socket. */
export function clientOf(authorize: AuthorizeMethod) {
  return createPortcullisClient({ transport: createRouterTransport(routesOf({ tools: { authorize } })) });
}

/** A client of a gateway that answers everything with these bytes. */
export async function clientOfRaw(answer: RawAnswer, options: Partial<PortcullisClientOptions> = {}) {
  const { baseUrl, requests } = await startFakeGateway({}, () => answer);
  return {
    client: createPortcullisClient({ baseUrl, apiKey: 'pc_1', ...options } as PortcullisClientOptions),
    requests,
  };
}

/** A guarded tool that counts how often it ran, and what `onDenied` was told. */
export function guardedTool(client: ReturnType<typeof clientOf>, options: Partial<GuardOptions> = {}) {
  const ran: unknown[][] = [];
  const denials: Denial[] = [];
  const guard = createGuard(client, {
    agentId: 'bot',
    onDenied: (toolName, reason, details) => {
      expect([toolName, reason]).toEqual([details.toolName, details.reason]);
      denials.push(details);
    },
    ...options,
  });
  const call = guard('refund', async (...params: unknown[]) => {
    ran.push(params);
    return { content: [{ type: 'text' as const, text: 'refunded' }] };
  });
  return { call, ran, denials };
}

/** What the guarded tool returns. */
export const REFUNDED = { content: [{ type: 'text', text: 'refunded' }] };

/** What a guarded tool returns when it is denied. */
export function deniedWith(text: string) {
  return { isError: true, content: [{ type: 'text', text: `Authorization denied: ${text}` }] };
}

/** Answers with the page of a proxy. */
export const page =
  (status: number): RawAnswer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Sorry</h1>');
  };
/** Answers as the gateway's HTTP edge refuses. */
export const edge =
  (status: number, code: string): RawAnswer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { code, message: 'No.', request_id: 'r-1' } }));
  };
/** Answers with an error of the Connect protocol. */
export const connectError =
  (status: number, code: string): RawAnswer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ code, message: 'No.' }));
  };
/** Answers with the bytes of what may be a message. */
export const bytes =
  (body: Uint8Array | string, headers: Record<string, string> = {}): RawAnswer =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'application/proto', ...headers }).end(body);
  };
/** The message ALLOWED. */
export const allowBytes = toBinary(AuthorizeResponseSchema, create(AuthorizeResponseSchema, ALLOWED));

/** Answers with a body of any type. */
export function bytesWithStatus(status: number, type: string, body: string): RawAnswer {
  return (_, response) => {
    response.writeHead(status, { 'content-type': type }).end(body);
  };
}

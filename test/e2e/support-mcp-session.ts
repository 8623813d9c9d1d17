import { createParser } from 'eventsource-parser';
import { request } from 'undici';
import type { GatewayProcess } from '../support/gateway-process.ts';

type Json = Record<string, unknown>;

/** What the gateway answered to one POST: its JSON-RPC messages in the order in which they came. */
export interface McpAnswer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly messages: readonly Json[];
  readonly text: string;
}

/** Where and as whom a client without an SDK speaks, which may use any id and progress token it likes. */
export interface McpCaller {
  readonly url: string;
  readonly apiKey: string;
  readonly sessionId?: string;
}

/** The MCP endpoint of an upstream on a gateway. */
export function callerOf(gateway: GatewayProcess, slug: string, apiKey: string = gateway.apiKey): McpCaller {
  return { url: `${gateway.baseUrl}/v1/mcp/${slug}`, apiKey };
}

/** Sends one message of the legacy era and reads the whole answer. */
export function post(caller: McpCaller, message: Json): Promise<McpAnswer> {
  return send(caller, message, { 'mcp-protocol-version': '2025-11-25' });
}

/** Sends one request of the modern era and reads the whole answer. */
export function postModern(caller: McpCaller, { params, ...message }: Json & { params: Json }): Promise<McpAnswer> {
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'e2e', version: '1' },
  };
  const full = { ...message, params: { ...params, _meta: { ...(params['_meta'] as Json | undefined), ...envelope } } };
  return send(caller, full, {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': String(message['method']),
    ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}),
  });
}

/** The messages without announcements that a list has changed, which an upstream may send to anybody at any time. */
export function withoutListChanges(messages: readonly Json[]): Json[] {
  return messages.filter(({ method }) => !String(method).endsWith('/list_changed'));
}

/** Opens a legacy session; the returned caller carries its id. */
export async function openSession(caller: McpCaller, capabilities: Json = {}): Promise<McpCaller> {
  const clientInfo = { name: 'e2e', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo };
  const answer = await send(caller, { jsonrpc: '2.0', id: 0, method: 'initialize', params }, {});
  const sessionId = answer.headers['mcp-session-id'];
  if (typeof sessionId !== 'string') {
    throw new Error(`no session: ${answer.status} ${answer.text}`);
  }
  const opened = { ...caller, sessionId };
  await post(opened, { jsonrpc: '2.0', method: 'notifications/initialized' });
  return opened;
}

/** Ends a legacy session; resolves with the HTTP status. */
export async function endSession(caller: McpCaller): Promise<number> {
  const { statusCode, body } = await request(caller.url, { method: 'DELETE', headers: headersOf(caller) });
  await body.dump();
  return statusCode;
}

/** A `tools/call` of either era. */
export function toolCall(id: string | number, name: string, args: Json = {}, meta?: Json) {
  return {
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) },
  };
}

async function send(caller: McpCaller, message: Json, headers: Record<string, string>): Promise<McpAnswer> {
  const response = await request(caller.url, {
    method: 'POST',
    headers: {
      ...headersOf(caller),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: JSON.stringify(message),
  });
  const text = await response.body.text();
  const messages = String(response.headers['content-type']).startsWith('text/event-stream')
    ? messagesOf(text)
    : text === ''
      ? []
      : [JSON.parse(text) as Json];
  return { status: response.statusCode, headers: response.headers, messages, text };
}

function headersOf({ apiKey, sessionId }: McpCaller): Record<string, string> {
  return { authorization: `Bearer ${apiKey}`, ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }) };
}

function messagesOf(stream: string): Json[] {
  const messages: Json[] = [];
  const parser = createParser({
    onEvent: ({ data }) => {
      // A priming event has no data (2025-11-25, basic/transports, Sending Messages to the Server).
      if (data !== '') messages.push(JSON.parse(data) as Json);
    },
  });
  parser.feed(stream);
  return messages;
}

import { createParser } from 'eventsource-parser';
import { request } from 'undici';

export type Json = Record<string, unknown>;

/** Who speaks, and where. */
export interface Caller {
  readonly url: string;
  readonly key: string;
  readonly sessionId?: string;
}

/** One POST whose answer is read as it comes. */
export interface Posted {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Record<string, string | string[] | undefined>;
  /** The next JSON-RPC message; undefined at the end of the answer. */
  next(): Promise<Json | undefined>;
  /** All messages that were not taken with `next`. */
  rest(): Promise<readonly Json[]>;
  /** Everything that has come, as it came. */
  text(): string;
  /** Goes away without reading on. */
  leave(): void;
}

/** Sends one message of the legacy era. */
export function post(caller: Caller, message: Json): Promise<Posted> {
  return send(caller, JSON.stringify(message), { 'mcp-protocol-version': '2025-11-25' });
}

/** Sends one request of the modern era. */
export function postModern(caller: Caller, message: Json & { params: Json }, capabilities: Json = {}): Promise<Posted> {
  const { params, method } = message;
  const _meta = {
    ...(params['_meta'] as Json | undefined),
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
  return send(caller, JSON.stringify({ ...message, params: { ...params, _meta } }), {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': String(method),
    'mcp-name': String(params['name']),
  });
}

/** A `tools/call`. */
export function toolCall(id: string | number, name: string, args: Json = {}, more: Json = {}): Json & { params: Json } {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, ...more } };
}

/** Opens a legacy session; the returned caller carries its id. */
export async function openSession(caller: Caller, capabilities: Json = {}): Promise<Caller> {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } };
  const opened = await send(caller, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }), {});
  await opened.rest();
  const sessionId = opened.headers['mcp-session-id'];
  return typeof sessionId === 'string' ? { ...caller, sessionId } : caller;
}

export async function send(caller: Caller, body: string, headers: Record<string, string>): Promise<Posted> {
  const gone = new AbortController();
  const response = await request(caller.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${caller.key}`,
      ...(caller.sessionId === undefined ? {} : { 'mcp-session-id': caller.sessionId }),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body,
    signal: gone.signal,
  });
  const contentType = String(response.headers['content-type'] ?? '');
  const chunks = response.body[Symbol.asyncIterator]();
  const messages: Json[] = [];
  const decoder = new TextDecoder();
  let text = '';
  const parser = createParser({
    onEvent: ({ data }) => void (data === '' || messages.push(JSON.parse(data) as Json)),
  });
  const isStream = contentType.startsWith('text/event-stream');
  const next = async (): Promise<Json | undefined> => {
    while (messages.length === 0) {
      const chunk = await chunks.next();
      if (chunk.done === true) {
        return isStream || text === '' ? undefined : (JSON.parse(takeText()) as Json);
      }
      const part = decoder.decode(chunk.value as Buffer, { stream: true });
      text += part;
      if (isStream) parser.feed(part);
    }
    return messages.shift();
  };
  const takeText = () => {
    const taken = text;
    text = '';
    return taken;
  };
  const rest = async () => {
    const all: Json[] = [];
    for (let message = await next(); message !== undefined; message = await next()) all.push(message);
    return all;
  };
  return {
    status: response.statusCode,
    contentType,
    headers: response.headers,
    next,
    rest,
    text: () => text,
    leave: () => gone.abort(),
  };
}

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { send } from './bad-http-client.ts';
import { mcpHeaders } from './bad-installation.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { callerOf, openSession } from './support-mcp-session.ts';

interface Received {
  readonly method: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let gateway: GatewayProcess;
let received: Received[] = [];
/** How the upstream answers in the test that runs. */
let answer: (response: ServerResponse, request: Received) => void;

const upstream = createServer((request, response) => {
  void textOf(request).then((body) => {
    const arrived = { method: request.method, headers: request.headers, body };
    received.push(arrived);
    answer(response, arrived);
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  gateway = await startGateway({
    env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_STDIO_COMMANDS: process.execPath },
  });
  const transport = streamableHttp(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp?tenant=a%20b`);
  const toolFilter = { deniedTools: ['break'] };
  await apiOf(gateway, UpstreamService).createUpstream({ slug: 'raw', transport, toolFilter, era: Era.LEGACY });
  await apiOf(gateway, UpstreamService).createUpstream({ slug: 'raw-modern', transport, toolFilter, era: Era.MODERN });
});

beforeEach(() => {
  received = [];
});

afterAll(async () => {
  await gateway?.stop();
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
});

function post(body: string, headers: Record<string, string> = {}, slug = 'raw') {
  return send(gateway.port, { path: `/v1/mcp/${slug}`, headers: mcpHeaders(gateway.apiKey, headers), body });
}

const answerJson = (body: string, status = 200, headers: Record<string, string> = {}) => {
  answer = (response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
};

const ODD_CALL =
  ' {"params" : {"zz":{"b":1,"a":[]}, "arguments":{"n":12345678901234567890,"f":1.10,"e":1E+2,"s":"\\u00e9\\/ \u2028"},\r\n' +
  '\t"name":"look","_meta":{"x/y":1,"progressToken":0}},"id":"\\u0061","future":null,"method":"tools\\/call","jsonrpc":"2.0"}\n ';
const ODD_ANSWER =
  '{"id":"a" , "result":{"content":[{"type":"hologram","n":12345678901234567890}],"zz":1.10},"jsonrpc":"2.0","x":[]}\n';

test('[MC-BYTES] a call arrives byte for byte, and its answer comes back byte for byte', async () => {
  answerJson(ODD_ANSWER);
  const { status, text } = await post(ODD_CALL);
  expect([status, text]).toEqual([200, ODD_ANSWER]);
  expect(received.map(({ body }) => body)).toEqual([ODD_CALL]);
});

test('[MC-BYTES] an answer larger than what is held back comes byte for byte too', async () => {
  const large = ODD_ANSWER.replace('hologram', 'h'.repeat(3_000_000));
  answerJson(large);
  const { text } = await post(ODD_CALL);
  expect(text === large).toBe(true);
});

test('[MC-BYTES] headers of MCP and of tracing arrive, unknown ones of MCP included', async () => {
  answerJson(ODD_ANSWER);
  const headers = {
    'mcp-protocol-version': '2025-06-18',
    'mcp-param-region': '=?base64?w6k=?=',
    'mcp-future': 'x',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tracestate: 'a=1',
    baggage: 'b=2',
    'accept-language': 'pl',
  };
  await post(ODD_CALL, headers);
  expect(received[0]?.headers).toMatchObject(headers);
});

test('[MC-BODY-DECIDES] headers that name a harmless call do not cover a denied one in the body', async () => {
  answerJson(ODD_ANSWER);
  const denied = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"break","arguments":{}}}';
  for (const headers of [{ 'mcp-method': 'ping', 'mcp-name': 'look' }, { 'x-http-method-override': 'GET' }]) {
    const { text } = await post(denied, headers);
    expect(JSON.parse(text).error.code).toBe(-32001);
  }
  const escaped = await post(denied.replace('"break"', '"bre\\u0061k"').replace('tools/call', 'tools\\/call'));
  expect(JSON.parse(escaped.text).error.code).toBe(-32001);
  expect(received).toEqual([]);
});

test('[MC-UNAMBIGUOUS] a method that differs from a known one by case or blanks only does not reach the upstream', async () => {
  answerJson(ODD_ANSWER);
  const call = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"break","arguments":{}}}';
  for (const method of ['Tools/Call', 'TOOLS/CALL', ' tools/call', 'tools/call ', 'tool\u017f/call', 'tools/call\\n']) {
    const { text } = await post(call.replace('tools/call', method));
    expect([method, typeof JSON.parse(text).error?.code]).toEqual([method, 'number']);
  }
  expect(received).toEqual([]);
});

const EVENTS = [
  'id: p-1\nretry: 1500\ndata: \n\n',
  ': comment\n\n',
  'event: message\nid: p-2\ndata: {"jsonrpc":"2.0","method":"notifications/message",\ndata: "params":{}}\n\n',
  'data: {"jsonrpc":"2.0","id":"a","result":{}}\n\n',
];

test('[MC-SSE] a stream comes through unchanged with ids, retry and comments, and may not be buffered', async () => {
  answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.end(EVENTS.join(''));
  };
  const { status, headers, text } = await post(ODD_CALL);
  expect([status, text]).toEqual([200, EVENTS.join('')]);
  expect(headers).toMatchObject({
    'content-type': 'text/event-stream',
    'x-accel-buffering': 'no',
    'cache-control': 'no-cache, no-transform',
  });
});

test('[MC-SSE] Last-Event-ID of a client that resumes its stream arrives at the upstream', async () => {
  const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
  answerJson('{"jsonrpc":"2.0","id":1,"result":{}}', 200, { 'mcp-session-id': 'inner-session-1' });
  const session = String((await post(initialize)).headers['mcp-session-id']);
  expect(session).not.toContain('inner-session-1');
  answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('id: p-3\ndata: {}\n\n');
  };
  const headers = mcpHeaders(gateway.apiKey, { 'mcp-session-id': session, 'last-event-id': 'p-2' });
  const resumed = await send(gateway.port, { method: 'GET', path: '/v1/mcp/raw', headers });
  expect([resumed.status, resumed.text]).toEqual([200, 'id: p-3\ndata: {}\n\n']);
  expect(received[1]).toMatchObject({
    method: 'GET',
    headers: { 'last-event-id': 'p-2', 'mcp-session-id': 'inner-session-1' },
  });
});

test('[MC-SSE] events come one by one, not when the stream ends', async () => {
  let proceed = () => {};
  answer = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(EVENTS[2]);
    proceed = () => response.end(EVENTS[3]);
  };
  const headers = mcpHeaders(gateway.apiKey);
  const { body } = await request(`${gateway.baseUrl}/v1/mcp/raw`, { method: 'POST', headers, body: ODD_CALL });
  const chunks = body.setEncoding('utf8').iterator();
  expect((await chunks.next()).value).toBe(EVENTS[2]);
  proceed();
  expect((await chunks.next()).value).toBe(EVENTS[3]);
});

test('[MC-SESSION-LOST] a session that the upstream has lost is answered with 404, with and without a JSON body', async () => {
  const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
  answerJson('{"jsonrpc":"2.0","id":1,"result":{}}', 200, { 'mcp-session-id': 'inner-session-2' });
  const session = String((await post(initialize)).headers['mcp-session-id']);
  answerJson('{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}', 404);
  expect((await post(ODD_CALL, { 'mcp-session-id': session })).status).toBe(404);
  answer = (response) => response.writeHead(404, { 'content-type': 'text/plain' }).end('Session not found');
  expect((await post(ODD_CALL, { 'mcp-session-id': session })).status).toBe(404);
});

test('[MC-BYTES] a process gets the numbers, the order and the unknown keys of a call as they were written', async () => {
  const script = fileURLToPath(new URL('bad-raw-process.ts', import.meta.url));
  const transport = { value: { case: 'stdio' as const, value: { command: process.execPath, args: [script] } } };
  await apiOf(gateway, UpstreamService).createUpstream({ slug: 'process', transport, era: Era.LEGACY });
  const { sessionId = '' } = await openSession(callerOf(gateway, 'process'));
  const args = '{"n":12345678901234567890,"b":-9007199254740993,"e":1e400}';
  const body = `{"jsonrpc":"2.0","id":"p","method":"tools/call","params":{"zz":[1],"name":"look","arguments":${args}},"future":null}`;
  const { text } = await post(body, { 'mcp-session-id': sessionId }, 'process');
  expect(JSON.parse(text).result.line).toContain(`"params":{"zz":[1],"name":"look","arguments":${args}},"future":null`);
});

test('[MC-BYTES] a modern call and its answer come through byte for byte', async () => {
  answerJson(ODD_ANSWER);
  const meta =
    '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"future/key":[1.0]';
  const body = ODD_CALL.replace('"x/y":1', meta);
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'look' };
  const { status, text } = await post(body, headers, 'raw-modern');
  expect([status, text]).toEqual([200, ODD_ANSWER]);
  expect(received.map((request) => request.body)).toEqual([body]);
});

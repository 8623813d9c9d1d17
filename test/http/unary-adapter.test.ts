import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createConnectFace } from '../../src/http/connect-face.ts';
import { createInstallation, type Installation } from '../api/installation.ts';

const CALL_TOOL = '/portcullis.v1.ToolService/CallTool';
const REQUEST = { upstream: { slug: 'files' }, name: 'read' };

let gateway: Installation;
let server: Server;
let baseUrl: string;
let caller: Principal | undefined;
/** What the tool does; each test says. */
let callTool: (signal: AbortSignal) => Promise<object>;

beforeAll(async () => {
  gateway = await createInstallation({
    calls: {
      listTools: async () => [],
      callTool: async ({ signal }) => ({ callId: 'call-1', result: await callTool(signal) }),
      authorize: () => Promise.reject(new Error('not part of this test')),
    },
  });
  const face = createConnectFace({
    ...gateway.api,
    authenticate: () => {
      if (caller === undefined) throw new GatewayError('invalid_api_key', 'Who are you?');
      return caller;
    },
    requestTimeoutMs: 2_000,
    maxRequestBytes: 64 * 1024,
  });
  server = createServer((request, response) => {
    void face({ request, response, requestId: 'request-1', path: request.url ?? '' });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  caller = gateway.admin;
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await gateway.close();
});

async function post(body: string | Buffer, headers: Record<string, string> = {}) {
  const answer = await request(baseUrl + CALL_TOOL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) };
}

describe('a unary request of the Connect protocol', () => {
  test('is answered in JSON and in binary as any client expects', async () => {
    callTool = async () => ({ content: [{ type: 'text', text: 'hello' }] });
    for (const useBinaryFormat of [true, false]) {
      const transport = createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat });
      const response = await createClient(ToolService, transport).callTool({
        upstream: { value: { case: 'slug', value: 'files' } },
        name: 'read',
      });
      expect(response.callId).toBe('call-1');
      expect(response.content[0]?.value).toMatchObject({ case: 'text', value: { text: 'hello' } });
    }
  });

  test('that is refused gets the same error as over the framework, with its details', async () => {
    callTool = () => Promise.reject(new GatewayError('policy_denied', 'No.', { metadata: { call_id: 'call-1' } }));
    const transport = createConnectTransport({ baseUrl, httpVersion: '1.1' });
    const error = await createClient(ToolService, transport)
      .callTool({ upstream: { value: { case: 'slug', value: 'files' } }, name: 'read' })
      .catch((reason: unknown) => ConnectError.from(reason));
    expect(error).toMatchObject({ code: Code.PermissionDenied, rawMessage: 'No.' });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: 'ERROR_REASON_POLICY_DENIED', metadata: { call_id: 'call-1' } },
    ]);
  });

  test('with broken JSON, an unknown field or a broken rule is invalid_argument with a reason', async () => {
    for (const body of ['{"upstream":', '{"unknown":1}', '{"name":"read"}']) {
      const answer = await post(body);
      expect(answer.status).toBe(400);
      const { code, details } = JSON.parse(answer.body.toString());
      expect([code, details[0].debug.reason]).toEqual(['invalid_argument', 'ERROR_REASON_VALIDATION_FAILED']);
    }
  });

  test('of a stranger is refused before its body is read', async () => {
    caller = undefined;
    const socket = connect(Number(new URL(baseUrl).port), '127.0.0.1');
    socket.write(
      `POST ${CALL_TOOL} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"up`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    caller = gateway.admin;
    expect(head.toString()).toMatch(/^HTTP\/1\.1 401 /);
    expect(head.toString()).toContain('ERROR_REASON_INVALID_API_KEY');
  });

  test('that is too large is resource_exhausted', async () => {
    const answer = await post(JSON.stringify({ ...REQUEST, arguments: { text: 'x'.repeat(100_000) } }));
    expect(answer.status).toBe(429);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'resource_exhausted' });
  });

  test('is compressed for a client that takes gzip, when it is worth it', async () => {
    callTool = async () => ({ content: [{ type: 'text', text: 'x'.repeat(5_000) }] });
    const answer = await post(JSON.stringify(REQUEST), { 'accept-encoding': 'br, gzip' });
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(answer.body).toString()).toContain('x'.repeat(5_000));
    const plain = await post(JSON.stringify(REQUEST));
    expect(plain.headers['content-encoding']).toBeUndefined();
  });

  test('whose caller leaves, or whose deadline passes, ends its call', async () => {
    const reasons: unknown[] = [];
    callTool = (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push((signal.reason as ConnectError).code);
          reject(signal.reason);
        });
      });
    const late = await post(JSON.stringify(REQUEST), { 'connect-timeout-ms': '50' });
    expect(JSON.parse(late.body.toString())).toMatchObject({ code: 'deadline_exceeded' });
    const leaving = new AbortController();
    const left = request(baseUrl + CALL_TOOL, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(REQUEST),
      signal: leaving.signal,
    });
    setTimeout(() => leaving.abort(), 50);
    await expect(left).rejects.toThrow('aborted');
    await expect.poll(() => reasons).toEqual([Code.DeadlineExceeded, Code.Canceled]);
  });
});

test('what the adapter does not serve is the framework’s: compressed bodies, other content types', async () => {
  callTool = async () => ({ content: [] });
  const zipped = await post(gzipSync(JSON.stringify(REQUEST)), { 'content-encoding': 'gzip' });
  expect(JSON.parse(zipped.body.toString())).toEqual({ callId: 'call-1' });
  const charset = await post(JSON.stringify(REQUEST), { 'content-type': 'application/json; charset=utf-8' });
  expect(JSON.parse(charset.body.toString())).toEqual({ callId: 'call-1' });
  const text = await post(JSON.stringify(REQUEST), { 'content-type': 'text/plain' });
  expect(text.status).toBe(415);
});

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { readToEnd } from './bad-http-client.ts';

// A certificate of its own for `localhost`, valid until 2126; made with `openssl req -x509 -newkey ec`.
const certFile = fileURLToPath(new URL('fixtures/localhost-cert.pem', import.meta.url));
const keyFile = fileURLToPath(new URL('fixtures/localhost-key.pem', import.meta.url));
const ca = readFileSync(certFile);

let gateway: GatewayProcess;

beforeAll(async () => {
  const env = { GATEWAY_TLS_CERT_FILE: certFile, GATEWAY_TLS_KEY_FILE: keyFile, GATEWAY_REQUEST_TIMEOUT_SECONDS: '1' };
  gateway = await startGateway({ env });
});

afterAll(() => gateway?.stop());

async function handshake(protocols: readonly string[]): Promise<TLSSocket> {
  const socket = connectTls({ port: gateway.port, host: 'localhost', ca, ALPNProtocols: [...protocols] });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', () => resolve());
    socket.once('error', reject);
  });
  return socket;
}

const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

test('[SV-TLS] the protocol is agreed on by ALPN', async () => {
  const agreed: unknown[] = [];
  for (const offered of [['h2', 'http/1.1'], ['http/1.1'], ['h2']]) {
    const socket = await handshake(offered);
    agreed.push(socket.alpnProtocol);
    socket.destroy();
  }
  expect(agreed).toEqual(['h2', 'http/1.1', 'h2']);
});

test('[SV-TLS] HTTP/1.1 is served over TLS, health and refusals alike', async () => {
  const get = (path: string) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      const sent = request({ host: 'localhost', port: gateway.port, path, ca, agent: false }, (response) => {
        textOf(response).then((text) => resolve([response.statusCode, text]), reject);
      });
      sent.on('error', reject).end();
    });
  expect(await get('/healthz')).toEqual([200, '{"status":"alive"}']);
  const [status, text] = await get('/v1/mcp/everything');
  expect([status, JSON.parse(text).error.code]).toEqual([401, 'invalid_api_key']);
});

test('[SV-TLS] HTTP/2 is served over TLS', async () => {
  const session = connectHttp2(`https://localhost:${gateway.port}`, { ca });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/v1/mcp/no-such',
    'x-api-key': gateway.apiKey,
    'content-type': 'application/json',
  });
  stream.end(list);
  const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
  expect(status).toBe(404);
  session.destroy();
});

test('[SV-TLS] gRPC is served over TLS', async () => {
  const buf = fileURLToPath(new URL('../../node_modules/.bin/buf', import.meta.url));
  const url = `https://localhost:${gateway.port}/portcullis.v1.UpstreamService/ListUpstreams`;
  const key = `Authorization: Bearer ${gateway.apiKey}`;
  const args = [buf, 'curl', '--cacert', certFile, '--protocol', 'grpc', '-H', key, '-d', '{}', url];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(JSON.parse(stdout)).toMatchObject({ upstreams: [{ slug: 'everything' }] });
});

test('[SV-TLS] old protocol versions and plain text get no answer', async () => {
  const old = connectTls({
    port: gateway.port,
    host: 'localhost',
    ca,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL:@SECLEVEL=0',
  });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => old.once('error', resolve));
  expect(error.code).toMatch(/ALERT_PROTOCOL_VERSION|ECONNRESET/);
  const plain = connectTcp(gateway.port, '127.0.0.1');
  plain.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(await readToEnd(plain)).not.toContain('alive');
});

test('[MS-SLOW-HEADERS] over TLS too a connection that sends nothing, or half of a head, is closed', async () => {
  for (const [protocol, bytes] of [
    ['http/1.1', ''],
    ['http/1.1', 'POST / HTTP/1.1\r\nHost: localhost\r\nX-A: '],
    ['h2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ]) {
    const socket = await handshake([protocol ?? '']);
    socket.on('error', () => undefined);
    socket.write(bytes ?? '');
    expect(await readToEnd(socket)).not.toContain('200 OK');
  }
});

test('[MS-SMUGGLING] over TLS too what the parser refuses gets 400 and a closed connection', async () => {
  const socket = await handshake(['http/1.1']);
  socket.write('POST /v1/mcp/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n');
  const text = await readToEnd(socket);
  expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(text).toContain('"code":"validation_failed"');
});

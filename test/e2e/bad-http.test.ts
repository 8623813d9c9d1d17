import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSocket, readToEnd, refusalOf, send, sendBytes, sendHttp2 } from './bad-http-client.ts';
import {
  type BadInputInstallation,
  GOOD_ANSWER,
  GOOD_CALL,
  mcpHeaders,
  startBadInputInstallation,
} from './bad-installation.ts';

let installation: BadInputInstallation;
let port: number;
let key: string;

beforeAll(async () => {
  installation = await startBadInputInstallation();
  port = installation.gateway.port;
  key = installation.gateway.apiKey;
});

afterAll(() => installation?.stop());

const path = '/v1/mcp/plain';

/** Head of a POST on the wire, from its request line to its last header. */
function headOf(extra: readonly string[], host = 'Host: 127.0.0.1'): string {
  const headers = Object.entries(mcpHeaders(key)).map(([name, value]) => `${name}: ${value}`);
  return [`POST ${path} HTTP/1.1`, host, ...headers, ...extra].join('\r\n');
}

/** A whole good call on the wire. */
function goodRequest(extra: readonly string[] = []): string {
  return `${headOf([`Content-Length: ${GOOD_CALL.length}`, ...extra])}\r\n\r\n${GOOD_CALL}`;
}

function statusesOf(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1] ?? '');
}

describe('large bodies', () => {
  const large = GOOD_CALL.replace('1}', `"${'x'.repeat(2 * 1024 * 1024)}"}`);
  const refusal = {
    code: 'payload_too_large',
    message: 'The body is larger than the 1048576 bytes this gateway takes.',
  };

  test('[MS-2-MIB] a body of 2 MiB is answered with 413, with its length and in chunks', async () => {
    const known = await send(port, { path, headers: mcpHeaders(key), body: large });
    const chunked = await send(port, {
      path,
      headers: mcpHeaders(key, { 'transfer-encoding': 'chunked' }),
      body: large,
    });
    for (const answer of [known, chunked]) {
      expect(answer.status).toBe(413);
      expect(refusalOf(answer)).toMatchObject(refusal);
    }
  });

  test('[MS-2-MIB] a body of 2 MiB over HTTP/2 is answered with 413', async () => {
    const answer = await sendHttp2(port, { path, headers: mcpHeaders(key), body: large });
    expect(answer.status).toBe(413);
    expect(refusalOf(answer)).toMatchObject(refusal);
  });

  test('a body just below the limit is taken', async () => {
    const body = GOOD_CALL.replace('1}', `"${'x'.repeat(1024 * 1024 - 200)}"}`);
    const answer = await send(port, { path, headers: mcpHeaders(key), body });
    expect([answer.status, answer.text]).toEqual([200, GOOD_ANSWER]);
  });

  test('a length that promises terabytes is answered with 413 before a byte of it came', async () => {
    const text = await sendBytes(port, `${headOf(['Content-Length: 9007199254740991'])}\r\n\r\n`);
    expect(statusesOf(text)).toEqual(['413']);
  });

  test('headers of 64 KiB are refused', async () => {
    const text = await sendBytes(port, `${headOf([`X-Filler: ${'x'.repeat(64 * 1024)}`])}\r\n\r\n`);
    expect(statusesOf(text).length).toBeLessThan(2);
    expect(text).not.toContain('200 OK');
  });
});

describe('requests that two parsers may read differently', () => {
  const smuggled = () => goodRequest(['X-Smuggled: yes']);
  const chunkedEmpty = '0\r\n\r\n';
  const attacks: Record<string, () => string> = {
    'both Content-Length and Transfer-Encoding': () =>
      `${headOf(['Content-Length: 5', 'Transfer-Encoding: chunked'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'Transfer-Encoding before Content-Length': () =>
      `${headOf(['Transfer-Encoding: chunked', 'Content-Length: 5'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'two Content-Lengths that differ': () =>
      `${headOf(['Content-Length: 0', `Content-Length: ${smuggled().length}`])}\r\n\r\n${smuggled()}`,
    'a list of Content-Lengths': () => `${headOf(['Content-Length: 0, 400'])}\r\n\r\n${smuggled()}`,
    'a Content-Length with a sign': () => `${headOf([`Content-Length: +${GOOD_CALL.length}`])}\r\n\r\n${GOOD_CALL}`,
    'a hexadecimal Content-Length': () => `${headOf(['Content-Length: 0x10'])}\r\n\r\n${GOOD_CALL}`,
    'a folded header': () =>
      `${headOf(['X-A: b', ' Transfer-Encoding: chunked', 'Content-Length: 0'])}\r\n\r\n${smuggled()}`,
    'a folded Transfer-Encoding': () =>
      `${headOf(['Transfer-Encoding:', ' chunked'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'a blank before the colon': () => `${headOf(['Transfer-Encoding : chunked'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'Transfer-Encoding: identity': () => `${headOf(['Transfer-Encoding: identity'])}\r\n\r\n${smuggled()}`,
    'chunked that is not last': () =>
      `${headOf(['Transfer-Encoding: chunked, gzip'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    xchunked: () => `${headOf(['Transfer-Encoding: xchunked'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'lines that end with LF only': () => `${headOf([]).replaceAll('\r\n', '\n')}\n\n${smuggled()}`,
    'a lone LF within the head': () =>
      `${headOf(['X-A: b\nTransfer-Encoding: chunked'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'a lone CR within a header': () =>
      `${headOf(['X-A: b\rTransfer-Encoding: chunked'])}\r\n\r\n${chunkedEmpty}${smuggled()}`,
    'a NUL within a header': () => `${headOf(['X-A: b\0c'])}\r\n\r\n${smuggled()}`,
    'a chunk size that is no number': () => `${headOf(['Transfer-Encoding: chunked'])}\r\n\r\n-5\r\n${smuggled()}`,
    'a chunk size of 17 digits': () =>
      `${headOf(['Transfer-Encoding: chunked'])}\r\n\r\n10000000000000000\r\n${smuggled()}`,
    'two hosts': () => goodRequest(['Host: evil.example', 'Connection: close']),
    'no host': () => goodRequest(['Connection: close']).replace('Host:', 'X-No:'),
    'an empty host': () => goodRequest(['Connection: close']).replace('Host: 127.0.0.1', 'Host:'),
    'HTTP/0.9': () => `GET ${path}\r\n\r\n`,
    TLS: () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    'PRI that is no HTTP/2': () => `PRI ${path} HTTP/1.1\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(attacks)) {
    test(`[MS-SMUGGLING] ${what}: one refusal at most, the connection is closed, nothing reaches the upstream`, async () => {
      const before = installation.recorder.calls.length;
      const text = await sendBytes(port, Buffer.from(bytes(), 'latin1'));
      expect(text).not.toContain('200 OK');
      expect(statusesOf(text).length).toBeLessThan(2);
      expect(installation.recorder.calls.length).toBe(before);
    });
  }

  test('[MS-SMUGGLING] what the parser refuses is answered with 400 in the form of every refusal', async () => {
    const text = await sendBytes(port, `${headOf(['Content-Length: 5', 'Transfer-Encoding: chunked'])}\r\n\r\n`);
    const [head, body] = text.split('\r\n\r\n');
    const { error } = JSON.parse(body ?? '');
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(error).toMatchObject({ code: 'validation_failed', message: 'The request is not valid HTTP.' });
    expect(head?.toLowerCase()).toContain(`x-request-id: ${error.request_id}`);
  });

  test('requests in one packet are answered one by one, in order, each on its own merits', async () => {
    const bad = goodRequest().replace(key, 'nonsense');
    const last = goodRequest(['Connection: close']);
    const text = await sendBytes(port, goodRequest() + bad + goodRequest().replace('look', 'LOOK') + last);
    expect(statusesOf(text)).toEqual(['200', '401', '200', '200']);
    expect(installation.recorder.calls.at(-2)).toMatchObject({ name: 'LOOK' });
  });
});

describe('clients that take their time', () => {
  test('[MS-SLOW-UPLOAD] an upload that does not end is answered after the time limit', async () => {
    const socket = await openSocket(port);
    socket.write(`${headOf([`Content-Length: ${GOOD_CALL.length}`])}\r\n\r\n${GOOD_CALL.slice(0, 20)}`);
    const text = await readToEnd(socket);
    expect(statusesOf(text)).toEqual(['400']);
    expect(text).toContain('The body was not complete after 1 s. Send it faster or in smaller parts.');
  });

  test('[MS-SLOW-UPLOAD] an upload over HTTP/2 that does not end is answered after the time limit', async () => {
    const headers = mcpHeaders(key, { 'content-length': '1000' });
    const answer = await sendHttp2(port, { path, headers, body: GOOD_CALL, keepsOpen: true });
    expect([answer.status, refusalOf(answer).code]).toEqual([400, 'validation_failed']);
  });

  const silent: Record<string, string> = {
    nothing: '',
    'one byte P': 'P',
    'the bytes PR': 'PR',
    'half of a head': `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: `,
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'half of the preface of HTTP/2': 'PRI * HTTP/2.0\r\n',
  };
  for (const [what, bytes] of Object.entries(silent)) {
    test(`[MS-SLOW-HEADERS] a connection that sends ${what} and stays is closed`, async () => {
      const socket = await openSocket(port);
      socket.write(bytes);
      expect(await readToEnd(socket)).not.toContain('200 OK');
    }, 8_000);
  }
});

describe('Host and Origin', () => {
  const get = (headers: Record<string, string>) =>
    send(port, { path, headers: mcpHeaders(key, headers), body: GOOD_CALL });

  test('[MC-HOST] a host that is no name of the gateway is answered with 403', async () => {
    for (const host of [
      'evil.example',
      '127.0.0.1.evil.example',
      'localhost.evil.example:80',
      'localhost@evil.example',
      '[::ffff:127.0.0.1]',
      '0.0.0.0',
    ]) {
      const answer = await get({ host });
      expect([host, answer.status]).toEqual([host, 403]);
      expect(refusalOf(answer)).toMatchObject({
        code: 'permission_denied',
        message: `The host '${host}' is not a name of this gateway. If it is, add it to GATEWAY_ALLOWED_HOSTS.`,
      });
    }
    for (const host of ['localhost', 'LOCALHOST:1', `127.0.0.1:${port}`, '[::1]:80']) {
      expect([host, (await get({ host })).status]).toEqual([host, 200]);
    }
  });

  test('[MC-ORIGIN] an origin that is not the gateway’s is answered with 403', async () => {
    const origins = [
      'https://evil.example',
      'null',
      'http://localhost.evil.example',
      'http://127.0.0.1@evil.example',
      'file://',
      'localhost',
    ];
    for (const origin of origins) {
      const answer = await get({ origin });
      expect([origin, answer.status]).toEqual([origin, 403]);
      expect(refusalOf(answer)).toMatchObject({
        code: 'permission_denied',
        message: `The origin '${origin}' may not call this gateway. If it should, add it to GATEWAY_CORS_ORIGINS.`,
      });
    }
  });

  test('[MC-HOST] over HTTP/2 the authority is checked in place of the host', async () => {
    const answer = await sendHttp2(port, {
      path,
      headers: { ...mcpHeaders(key), ':authority': 'evil.example' },
      body: GOOD_CALL,
    });
    expect([answer.status, refusalOf(answer).code]).toEqual([403, 'permission_denied']);
  });

  test('[MC-HOST] the API is guarded in the same way', async () => {
    const headers = { host: 'evil.example', authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const answer = await send(port, { path: '/portcullis.v1.UpstreamService/ListUpstreams', headers, body: '{}' });
    expect([answer.status, refusalOf(answer).code]).toEqual([403, 'permission_denied']);
  });
});

describe('after all of it', () => {
  test('[PD-REQUEST-ID] every answer has an X-Request-Id, the client’s where it is harmless', async () => {
    const given = await send(port, { path, headers: mcpHeaders(key, { 'x-request-id': 'trace-1' }), body: GOOD_CALL });
    expect(given.headers['x-request-id']).toBe('trace-1');
    for (const anywhere of ['/healthz', '/readyz', '/health', '/.well-known/jwks.json', '/', '/favicon.ico', path]) {
      const answer = await send(port, { method: 'GET', path: anywhere, headers: { 'x-request-id': 'trace-2' } });
      expect([anywhere, answer.headers['x-request-id']]).toEqual([anywhere, 'trace-2']);
    }
    const service = '/portcullis.v1.UpstreamService/ListUpstreams';
    for (const body of ['{}', '{']) {
      const answer = await send(port, { path: service, headers: mcpHeaders(key, { 'x-request-id': 'trace-3' }), body });
      expect([body, answer.headers['x-request-id']]).toEqual([body, 'trace-3']);
    }
    const evil = await send(port, { path, headers: mcpHeaders(key, { 'x-request-id': '<script>' }), body: '{' });
    expect(evil.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('[MS-STAYS-UP] the process is up, answers, and has closed every connection', async () => {
    const answer = await send(port, { path, headers: mcpHeaders(key), body: GOOD_CALL });
    expect([answer.status, answer.text]).toEqual([200, GOOD_ANSWER]);
    expect(installation.gateway.process.exitCode).toBeNull();
    expect(readdirSync(`/proc/${installation.gateway.process.pid}/fd`).length).toBeLessThan(60);
  });
});

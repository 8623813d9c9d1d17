import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Code } from '@connectrpc/connect';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createPortcullisClient, type PortcullisClientOptions } from '../src/client.ts';
import { type RawAnswer, refusal, unusedUrl } from './fake-gateway.ts';
import {
  ALLOWED,
  allowBytes,
  bytes,
  bytesWithStatus,
  clientOf,
  clientOfRaw,
  connectError,
  deniedWith,
  edge,
  guardedTool,
  page,
  REFUNDED,
} from './guarded-tool.ts';

/** What counts as a gateway that is unreachable. */
const UNREACHABLE: [string, RawAnswer][] = [
  ['a status 500 with a page', page(500)],
  ['a status 501 with a page', page(501)],
  ['a status 502 with a page', page(502)],
  ['a status 503 with a page', page(503)],
  ['a status 504 with a page', page(504)],
  ['a status 599 with a page', page(599)],
  ['the time-out of a proxy', page(408)],
  ['a 500 of the gateway', edge(500, 'internal')],
  ['a 503 of the gateway', edge(503, 'unavailable')],
  ['an API error internal', connectError(500, 'internal')],
  ['an API error unavailable', connectError(503, 'unavailable')],
  ['an API error deadline_exceeded', connectError(504, 'deadline_exceeded')],
  ['a 500 with JSON of somebody else', bytesWithStatus(500, 'application/json', '{"oops":1}')],
  ['a page with the status 200', page(200)],
  ['a page that claims to be a message', bytes('<!doctype html><title>Log in</title>')],
  ['a message that is cut', bytes(allowBytes.subarray(0, allowBytes.length - 1))],
  ['an ALLOW that is cut before the decision', bytes(allowBytes.subarray(0, 2))],
  ['a message of another content type', bytes(allowBytes, { 'content-type': 'application/octet-stream' })],
  [
    'JSON in place of a message',
    bytesWithStatus(200, 'application/json', '{"outcome":"EFFECT_ALLOW","decisionId":"d1"}'),
  ],
  ['no content', (_, response) => void response.writeHead(204).end()],
  ['a redirect', (_, response) => void response.writeHead(302, { location: '/login' }).end()],
  ['a connection that is closed', (_, response) => void response.destroy()],
  [
    'a connection that is closed within the answer',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/proto', 'content-length': String(allowBytes.length) });
      response.write(allowBytes.subarray(0, 3), () => response.destroy());
    },
  ],
  ['silence', () => {}],
  [
    'silence within the answer',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/proto', 'content-length': String(allowBytes.length) });
      response.write(allowBytes.subarray(0, 3));
    },
  ],
  ['something that is not HTTP', (request) => void request.socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
];

describe('a gateway that is unreachable', () => {
  it.each(UNREACHABLE)('denies with %s', async (_, answer) => {
    const { client } = await clientOfRaw(answer);
    const { call, ran, denials } = guardedTool(client, { timeoutMs: 500 });

    expect(await call({ amount: 1 })).toEqual(deniedWith('Portcullis could not be reached.'));
    expect(ran).toEqual([]);
    expect(denials.map(({ kind }) => kind)).toEqual(['unreachable']);
    expect(denials[0]?.cause).toMatchObject({ name: 'PortcullisError' });
  });

  it.each(UNREACHABLE)('lets pass with %s, silently, when onError is allow', async (_, answer) => {
    const { client } = await clientOfRaw(answer);
    const { call, ran, denials } = guardedTool(client, { timeoutMs: 500, onError: 'allow' });

    expect(await call({ amount: 1 })).toEqual(REFUNDED);
    expect(ran).toHaveLength(1);
    expect(denials).toEqual([]);
  });

  it('is also one where nothing listens, whose name is unknown, or that speaks no TLS', async () => {
    const listening = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void listening.close());
    await once(listening, 'listening');
    const { port } = listening.address() as AddressInfo;
    for (const baseUrl of [await unusedUrl(), 'http://portcullis.invalid', `https://127.0.0.1:${port}`]) {
      const strict = guardedTool(createPortcullisClient({ baseUrl }));
      const open = guardedTool(createPortcullisClient({ baseUrl }), { onError: 'allow' });

      expect(await strict.call({})).toEqual(deniedWith('Portcullis could not be reached.'));
      expect(strict.ran).toEqual([]);
      expect(await open.call({})).toEqual(REFUNDED);
      expect(open.denials).toEqual([]);
    }
  });

  it('does not hold a call longer than timeoutMs, 5 seconds by default', async () => {
    const { client } = await clientOfRaw(() => {});
    const quick = guardedTool(client, { timeoutMs: 200 });
    const usual = guardedTool(client);

    const start = performance.now();
    await Promise.all([
      quick.call({}).then(() => expect(performance.now() - start).toBeLessThan(1_500)),
      usual.call({}).then(() => {
        expect(performance.now() - start).toBeGreaterThan(4_900);
        expect(performance.now() - start).toBeLessThan(7_000);
      }),
    ]);

    expect([quick.denials.length, usual.denials.length]).toEqual([1, 1]);
  });

  it('is given up after timeoutMs also when the transport or the source of credentials heeds no signal', async () => {
    const stuck = { tools: { ...clientOf(() => ALLOWED).tools, authorize: () => new Promise<never>(() => {}) } };
    const { call, ran } = guardedTool({ ...clientOf(() => ALLOWED), ...stuck }, { timeoutMs: 50 });
    const { client } = await clientOfRaw(bytes(allowBytes), {
      apiKey: undefined,
      credentials: () => new Promise<string>(() => {}),
    } as Partial<PortcullisClientOptions>);
    const waiting = guardedTool(client, { timeoutMs: 50 });

    expect(await call({})).toEqual(deniedWith('Portcullis could not be reached.'));
    expect(await waiting.call({})).toEqual(deniedWith('Portcullis could not be reached.'));
    expect([ran, waiting.ran]).toEqual([[], []]);
  });

  it('is forgotten: an ALLOW that comes too late runs nothing', async () => {
    let answer = (_: typeof ALLOWED) => {};
    const { call, ran, denials } = guardedTool(
      clientOf(() => new Promise((resolve) => (answer = resolve))),
      { timeoutMs: 100 },
    );

    await call({});
    answer(ALLOWED);
    await new Promise((resolve) => setImmediate(resolve));

    expect(ran).toEqual([]);
    expect(denials).toHaveLength(1);
  });
});

describe('a gateway that refuses to decide', () => {
  it.each<[string, RawAnswer, string]>([
    ['401', edge(401, 'invalid_api_key'), 'invalid_api_key'],
    ['403', edge(403, 'permission_denied'), 'permission_denied'],
    ['404', edge(404, 'not_found'), 'not_found'],
    ['429', edge(429, 'rate_limit_exceeded'), 'rate_limit_exceeded'],
    ['402', edge(402, 'budget_exceeded'), 'budget_exceeded'],
    ['405', edge(405, 'method_not_allowed'), 'method_not_allowed'],
    ['413', edge(413, 'payload_too_large'), 'payload_too_large'],
    ['a 401 with a page', page(401), 'unknown'],
    ['a 403 with a page', page(403), 'unknown'],
    ['a 404 with a page', page(404), 'unknown'],
    ['a 429 with a page', page(429), 'rate_limit_exceeded'],
    ['a 429 with the code of an outage', connectError(429, 'unavailable'), 'rate_limit_exceeded'],
    ['a 400 with a page', page(400), 'unknown'],
    ['unauthenticated', connectError(401, 'unauthenticated'), 'unknown'],
    ['permission_denied', connectError(403, 'permission_denied'), 'unknown'],
    ['not_found', connectError(404, 'not_found'), 'unknown'],
    ['resource_exhausted', connectError(429, 'resource_exhausted'), 'unknown'],
    ['invalid_argument', connectError(400, 'invalid_argument'), 'unknown'],
    ['unimplemented', connectError(501, 'unimplemented'), 'unknown'],
  ])('denies with %s, whatever onError says', async (_, answer, reason) => {
    const { client } = await clientOfRaw(answer);
    for (const onError of ['deny', 'allow'] as const) {
      const { call, ran, denials } = guardedTool(client, { onError });

      expect(await call({})).toEqual(deniedWith(`Portcullis refused to decide this call (${reason}).`));
      expect(ran).toEqual([]);
      expect(denials.map(({ kind }) => kind)).toEqual(['refused']);
    }
  });

  it('keeps what the gateway says about settings out of the text', async () => {
    const client = clientOf(() => {
      throw refusal(Code.NotFound, 'ERROR_REASON_NOT_FOUND', "There is no agent 'bot' in this project.");
    });
    const { call, denials } = guardedTool(client);

    expect(await call({})).toEqual(deniedWith('Portcullis refused to decide this call (not_found).'));
    expect(denials[0]?.cause).toMatchObject({ message: "There is no agent 'bot' in this project." });
  });

  it('denies, whatever onError says, when the source of credentials fails', async () => {
    const { client } = await clientOfRaw(bytes(allowBytes), {
      apiKey: undefined,
      credentials: () => Promise.reject(new Error('the vault is closed')),
    } as Partial<PortcullisClientOptions>);
    const { call, ran } = guardedTool(client, { onError: 'allow' });

    expect(await call({})).toEqual(deniedWith('Portcullis refused to decide this call (unknown).'));
    expect(ran).toEqual([]);
  });
});

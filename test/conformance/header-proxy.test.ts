import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import * as undici from 'undici';
import { afterEach, expect, test } from 'vitest';
import { startHeaderProxy } from './header-proxy.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function startProxyBefore(handler: (req: IncomingMessage, res: ServerResponse) => unknown): Promise<string> {
  const target = createServer(handler);
  await once(target.listen(0, '127.0.0.1'), 'listening');
  stops.push(async () => {
    target.closeAllConnections();
    await once(target.close(), 'close');
  });
  const { port } = target.address() as AddressInfo;
  const proxy = await startHeaderProxy({ target: `http://127.0.0.1:${port}`, header: ['X-Added', 'yes'] });
  stops.push(proxy.close);
  return proxy.url;
}

test('it adds its header after the others, which keep their order, case and values', async () => {
  const url = await startProxyBefore((req, res) => res.end(JSON.stringify(req.rawHeaders)));
  const headers = { Host: 'evil.example.com', Origin: 'http://evil.example.com', 'x-CASE': '1', Connection: 'close' };

  const [res] = await once(request(`${url}/path`, { headers }).end(), 'response');

  expect(JSON.parse(await text(res)).join('|')).toBe(
    'Host|evil.example.com|Origin|http://evil.example.com|x-CASE|1|Connection|close|X-Added|yes',
  );
});

test('it passes method, path, body, status and answer on unchanged', async () => {
  const url = await startProxyBefore(async (req, res) => {
    res.writeHead(418, 'Teapot', { 'X-Answer': 'a' }).end(`${req.method} ${req.url} ${await text(req)}`);
  });

  const response = await undici.fetch(`${url}/some/path?q=1`, { method: 'POST', body: 'the body' });

  expect(response.status).toBe(418);
  expect(response.statusText).toBe('Teapot');
  expect(response.headers.get('x-answer')).toBe('a');
  expect(await response.text()).toBe('POST /some/path?q=1 the body');
});

test('it passes headers on before there is a body, and a chunk before there is another', async () => {
  const answers: ServerResponse[] = [];
  const url = await startProxyBefore((_req, res) => {
    answers.push(res);
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  });

  const { headers, body } = await undici.request(url);
  const chunks = body.setEncoding('utf8')[Symbol.asyncIterator]();

  expect(headers['content-type']).toBe('text/event-stream');
  answers[0]?.write('data: first\n\n');
  expect(await chunks.next()).toEqual({ done: false, value: 'data: first\n\n' });
  answers[0]?.end('data: last\n\n');
  expect(await chunks.next()).toEqual({ done: false, value: 'data: last\n\n' });
  expect(await chunks.next()).toEqual({ done: true, value: undefined });
});

test('a client that goes away closes the connection to the target, before and within the answer', async () => {
  const closed: Promise<unknown>[] = [];
  const url = await startProxyBefore((req, res) => {
    closed.push(once(res, 'close'));
    if (req.url === '/started') res.writeHead(200).write('started');
  });

  const silent = request(`${url}/silent`).on('error', () => {});
  silent.end();
  const [started] = await once(request(`${url}/started`).end(), 'response');
  await expect.poll(() => closed.length).toBe(2);
  silent.destroy();
  started.destroy();

  await Promise.all(closed);
});

test('an answer that breaks off at the target breaks off at the client', async () => {
  const url = await startProxyBefore((_req, res) => {
    res.writeHead(200).write('half');
    setImmediate(() => res.destroy());
  });

  await expect(undici.fetch(url).then((response) => response.text())).rejects.toThrow('terminated');
});

test('a target that cannot be reached is answered with 502', async () => {
  const proxy = await startHeaderProxy({ target: 'http://127.0.0.1:1', header: ['X-Added', 'yes'] });
  stops.push(proxy.close);

  expect((await undici.fetch(proxy.url)).status).toBe(502);
});

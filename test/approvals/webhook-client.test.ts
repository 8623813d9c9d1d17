import type { AddressInfo } from 'node:net';
import { createServer as createTcp } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createNetworkGuard } from '../../src/upstream/network-guard.ts';
import { createWebhookClient } from '../../src/upstream/webhook-client.ts';
import { serveTexts } from '../upstream/fixtures.ts';

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of open.splice(0)) await stop();
});

async function serve(handler: Parameters<typeof serveTexts>[0]): Promise<string> {
  const server = await serveTexts(handler);
  open.push(server.stop);
  return new URL(server.url).origin;
}

const send = createWebhookClient({ guard: createNetworkGuard(['loopback']) });
const post = (url: string, timeoutMs = 5_000) => ({
  url,
  headers: { 'content-type': 'application/json', 'webhook-id': '1' },
  body: '{"data":"ü"}',
  signal: AbortSignal.timeout(timeoutMs),
});

describe('a webhook', () => {
  it('gets the POST as it is, on its path and query', async () => {
    const seen: unknown[] = [];
    const url = await serve((request, text, response) => {
      const { 'content-type': type, 'webhook-id': id, 'content-length': length } = request.headers;
      seen.push(request.method, request.url, type, id, length, text);
      response.writeHead(204).end();
    });
    expect(await send(post(`${url}/hook/a?b=c%20d`))).toEqual({ status: 204 });
    expect(seen).toEqual(['POST', '/hook/a?b=c%20d', 'application/json', '1', '13', '{"data":"ü"}']);
  });

  it('that redirects is not followed', async () => {
    const followed = vi.fn<() => void>();
    const target = await serve((_request, _text, response) => {
      followed();
      response.end();
    });
    const url = await serve((_request, _text, response) => response.writeHead(307, { location: target }).end());
    expect(await send(post(url))).toEqual({ status: 307 });
    expect(followed).not.toHaveBeenCalled();
  });

  it('at an address that is not public is not called unless the operator allows it', async () => {
    const called = vi.fn<() => void>();
    const url = await serve((_request, _text, response) => {
      called();
      response.end();
    });
    const strict = createWebhookClient({ guard: createNetworkGuard([]) });
    await expect(strict(post(url))).rejects.toThrow('not public (loopback)');
    await expect(strict(post(url.replace('127.0.0.1', 'localhost')))).rejects.toThrow('not public (loopback)');
    for (const address of [
      '10.0.0.1',
      '169.254.169.254',
      '[::1]',
      '[fd00:ec2::254]',
      '0.0.0.0',
      '[::ffff:127.0.0.1]',
    ]) {
      await expect(strict(post(`http://${address}/`))).rejects.toThrow('not public');
    }
    expect(called).not.toHaveBeenCalled();
  });

  it('that hangs, before or in its answer, is left when the time is over', async () => {
    const silent = await serve(() => {});
    await expect(send(post(silent, 100))).rejects.toMatchObject({ name: 'TimeoutError' });
    const slow = await serve((_request, _text, response) => {
      response.writeHead(200);
      response.write('a');
    });
    expect(await send(post(slow, 100))).toEqual({ status: 200 });
  });

  it('that answers without end is left after 64 KiB', async () => {
    const url = await serve((_request, _text, response) => {
      response.writeHead(500);
      const timer = setInterval(() => response.write('x'.repeat(16_384)), 1);
      response.on('close', () => clearInterval(timer));
    });
    expect(await send(post(url))).toEqual({ status: 500 });
  });

  it('that is not there, or speaks no HTTP, rejects', async () => {
    await expect(send(post('http://127.0.0.1:1/'))).rejects.toThrow('ECONNREFUSED');
    const rude = createTcp((socket) => socket.end('no http\r\n\r\n'));
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    open.push(async () => void rude.close());
    const { port } = rude.address() as AddressInfo;
    await expect(send(post(`http://127.0.0.1:${port}/`))).rejects.toThrow('does not match the HTTP/1.1 protocol');
    const closing = await serve((request) => request.socket.destroy());
    await expect(send(post(closing))).rejects.toThrow('other side closed');
  });

  it('sees its connection closed after the answer', async () => {
    const closed = Promise.withResolvers<void>();
    const url = await serve((request, _text, response) => {
      request.socket.on('close', () => closed.resolve());
      response.end('ok');
    });
    await send(post(url));
    expect(await closed.promise).toBeUndefined();
  });
});

import { createServer as createServer1 } from 'node:http';
import { connect, createServer as createServer2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import { ClientAnswer } from '../../src/mcp/client-answer.ts';
import type { HttpResponse } from '../../src/mcp/exchange.ts';

const cleanUps: (() => void)[] = [];

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) {
    cleanUp();
  }
});

type Write = (answer: ClientAnswer) => void;
type Fetched = { readonly status: number; readonly contentType: string; readonly body: string };

/** What a client gets when the server answers like this. */
const protocols: Record<string, (write: Write) => Promise<Fetched>> = {
  'HTTP/1.1': async (write) => {
    const server = createServer1((_request, response: HttpResponse) => write(new ClientAnswer(response, 'r')));
    const url = await listen(server);
    const { statusCode, headers, body } = await request(url);
    return { status: statusCode, contentType: String(headers['content-type']), body: await body.text() };
  },
  'HTTP/2': async (write) => {
    const server = createServer2((_request, response) => write(new ClientAnswer(response, 'r')));
    const session = connect(await listen(server));
    cleanUps.push(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
    return {
      status: Number(headers[':status']),
      contentType: String(headers['content-type']),
      body: await text(stream),
    };
  },
};

async function listen(server: ReturnType<typeof createServer1> | ReturnType<typeof createServer2>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.each(Object.entries(protocols))('an answer over %s', (_name, fetch) => {
  test('is a JSON body when nothing was sent before', async () => {
    const got = await fetch((answer) => answer.sendJson(404, '{"a":1}'));
    expect(got).toEqual({ status: 404, contentType: 'application/json', body: '{"a":1}' });
  });

  test('is the last event of a stream that is open, whatever its status would have been', async () => {
    const got = await fetch((answer) => {
      answer.startStream();
      answer.sendEvent('{"n":1}');
      answer.startStream();
      answer.sendError(1, { code: -32600, message: 'no' }, 404);
      answer.sendEvent('{"n":2}');
      answer.sendError(1, { code: -32600, message: 'too late' });
    });
    expect(got).toEqual({
      status: 200,
      contentType: 'text/event-stream',
      body:
        'event: message\ndata: {"n":1}\n\n' +
        'event: message\ndata: {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}\n\n',
    });
  });

  test('may be a JSON body in pieces', async () => {
    const got = await fetch((answer) => {
      answer.startJson(200, 'application/json; charset=utf-8');
      answer.write(Buffer.from('{\n"a":'));
      answer.write(Buffer.from('1}\n'));
      answer.end();
    });
    expect(got).toEqual({ status: 200, contentType: 'application/json; charset=utf-8', body: '{\n"a":1}\n' });
  });

  test('in pieces is one event of a stream that is open', async () => {
    const got = await fetch((answer) => {
      answer.startStream();
      answer.startJson(200, 'application/json');
      answer.write(Buffer.from('{\r\n"a":'));
      answer.write(Buffer.from('1}\n'));
      answer.end();
    });
    expect(got.body).toBe('event: message\ndata: {  "a":1} \n\n');
  });

  test('that is cut short is not taken for a whole one', async () => {
    const got = fetch((answer) => {
      answer.startStream();
      answer.startJson(200, 'application/json');
      answer.write(Buffer.from('{"a":'));
      setTimeout(() => answer.cut(), 50);
    });
    expect(
      await got.then(
        ({ body }) => body.endsWith('\n\n'),
        () => false,
      ),
    ).toBe(false);
  });
});

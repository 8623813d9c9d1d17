import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConnectionSharing, Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { serveTcp } from '../upstream/fixtures.ts';
import { send } from './bad-http-client.ts';
import { GOOD_CALL, mcpHeaders } from './bad-installation.ts';
import { type BadUpstream, startBadUpstream } from './bad-upstream-server.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { callerOf, openSession, post, toolCall } from './support-mcp-session.ts';

let gateway: GatewayProcess;
let bad: BadUpstream;

beforeAll(async () => {
  bad = await startBadUpstream();
  gateway = await startGateway({
    env: { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_STDIO_COMMANDS: process.execPath },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await bad?.stop();
});

const timeout = durationFromMs(1000);

async function addHttp(slug: string, url = bad.url(slug), era: Era = Era.LEGACY): Promise<void> {
  await apiOf(gateway, UpstreamService).createUpstream({ slug, transport: streamableHttp(url), era, timeout });
}

async function callOf(slug: string) {
  const answer = await send(gateway.port, {
    path: `/v1/mcp/${slug}`,
    headers: mcpHeaders(gateway.apiKey),
    body: GOOD_CALL,
  });
  return { ...answer, rpc: answer.text.startsWith('{') ? JSON.parse(answer.text) : undefined };
}

/** Calls and expects HTTP 200 with the JSON-RPC error -32603 that says this and nothing more. */
async function expectFailure(slug: string, reason: string, message: string): Promise<void> {
  const { status, rpc } = await callOf(slug);
  const error = { code: -32603, message, data: { reason } };
  expect([status, rpc]).toEqual([200, { jsonrpc: '2.0', id: 7, error }]);
}

describe('an upstream over HTTP', () => {
  test('[MS-UPSTREAM-DOWN] that is down is answered with -32603', async () => {
    const gone = await serveTcp(() => undefined);
    await gone.stop();
    await addHttp('down', gone.url);
    const message =
      'The upstream "down" refused the connection. Check that it is running and that its URL has the right host and port.';
    await expectFailure('down', 'bad_gateway', message);
  });

  test('[MS-UPSTREAM-HANGS] that hangs is answered with -32603 after its timeout', async () => {
    await addHttp('hang');
    const message =
      'The upstream "hang" sent nothing for 1 s. It hangs or is overloaded; if its calls may take longer, raise the timeout of the upstream.';
    await expectFailure('hang', 'upstream_timeout', message);
  });

  const garbage: Record<string, string> = {
    html: "is no JSON-RPC message (content type 'text/html')",
    truncated: "is no JSON-RPC message (content type 'application/json')",
    'no-rpc': "is no JSON-RPC message (content type 'application/json')",
    empty: "is no JSON-RPC message (content type 'application/json')",
  };
  const noAnswer = (slug: string, what: string) =>
    `The answer of the upstream "${slug}" ${what}. Check its log, and that its URL is its MCP endpoint.`;
  for (const [slug, what] of Object.entries(garbage)) {
    test(`[MS-UPSTREAM-GARBAGE] whose answer ${what}, ${slug}, is answered with -32603`, async () => {
      await addHttp(slug);
      await expectFailure(slug, 'bad_gateway', noAnswer(slug, what));
    });
  }

  test('[MS-UPSTREAM-500] that answers 500 is answered with -32603, and what it said is kept back', async () => {
    await addHttp('error-500');
    await expectFailure('error-500', 'bad_gateway', noAnswer('error-500', 'has HTTP status 500'));
  });

  test('[PD-BAD-GATEWAY] that is down for a notification is answered with 502', async () => {
    const path = '/v1/mcp/down';
    const body = '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}';
    const answer = await send(gateway.port, { path, headers: mcpHeaders(gateway.apiKey), body });
    expect(answer.status).toBe(502);
  });

  test('[MS-UPSTREAM-GARBAGE] that does not speak HTTP is answered with -32603', async () => {
    const tcp = await serveTcp((socket) => socket.end('220 mail.example ESMTP\r\n'));
    await addHttp('smtp', tcp.url);
    const message =
      'The upstream "smtp" did not answer with valid HTTP. Check that its URL leads to an MCP server and has the right scheme.';
    await expectFailure('smtp', 'bad_gateway', message);
    await tcp.stop();
  });

  test("that refuses the gateway's credentials is answered with -32603, and the challenge is kept back", async () => {
    await addHttp('error-401');
    const message =
      'The upstream "error-401" refused the gateway\'s credentials (HTTP 401). An operator can set new ones with UpdateUpstream.';
    await expectFailure('error-401', 'bad_gateway', message);
    expect((await callOf('error-401')).headers['www-authenticate']).toBeUndefined();
  });

  test('[UP-SSRF] that redirects is answered with -32603, and nobody follows', async () => {
    await addHttp('redirect');
    const message =
      'The upstream "redirect" answered with a redirect (307), which is not followed. Set its URL to the final address.';
    await expectFailure('redirect', 'bad_gateway', message);
  });

  test('[MS-UPSTREAM-CLOSES] that closes in the middle of a JSON answer is answered with -32603', async () => {
    await addHttp('cut-json');
    const message = 'The upstream "cut-json" closed the connection before its answer was complete. Check its log.';
    await expectFailure('cut-json', 'bad_gateway', message);
  });

  const cut: Record<string, string> = {
    'cut-stream': 'The upstream "cut-stream" closed the connection before its answer was complete. Check its log.',
    'short-stream': 'The upstream "short-stream" ended its stream without an answer.',
  };
  for (const [slug, message] of Object.entries(cut)) {
    test(`[MS-UPSTREAM-CLOSES] that ends a stream without its answer, ${slug}, is answered with -32603 as the last event`, async () => {
      await addHttp(slug);
      const { status, headers, text } = await callOf(slug);
      const error = { jsonrpc: '2.0', id: 7, error: { code: -32603, message, data: { reason: 'bad_gateway' } } };
      expect([status, headers['content-type']]).toEqual([200, 'text/event-stream']);
      expect(text).toContain('"progressToken":1');
      expect(text.endsWith(`\n\nevent: message\ndata: ${JSON.stringify(error)}\n\n`)).toBe(true);
    });
  }

  for (const slug of ['slow-json', 'slow-stream']) {
    test(`[MC-ABORT] that sends for minutes, ${slug}, sees that the client has gone`, async () => {
      const slow = await startBadUpstream();
      await addHttp(slug, slow.url(slug));
      const sent = request({ port: gateway.port, path: `/v1/mcp/${slug}`, method: 'POST', agent: false });
      for (const [name, value] of Object.entries(mcpHeaders(gateway.apiKey))) {
        sent.setHeader(name, value);
      }
      await new Promise<void>((resolve) => {
        sent.on('response', (response) => response.once('data', () => resolve()));
        sent.end(GOOD_CALL);
      });
      sent.destroy();
      await expect(slow.disconnect).resolves.toBeUndefined();
      await slow.stop();
    });
  }

  test('whose era cannot be found out is answered with -32603 and asked again by the next client', async () => {
    await addHttp('no-era', bad.url('error-500'), Era.AUTO);
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } };
    for (let attempt = 0; attempt < 2; attempt++) {
      const before = bad.received.length;
      const answer = await post(callerOf(gateway, 'no-era'), initialize);
      expect(answer.messages[0]).toMatchObject({ id: 1, error: { code: -32603, data: { reason: 'bad_gateway' } } });
      expect(bad.received.length).toBeGreaterThan(before);
    }
  });
});

describe('an upstream that is a process', () => {
  const script = fileURLToPath(new URL('../upstream/fake-stdio-upstream.ts', import.meta.url));

  async function addProcess(slug: string, args: string[] = [], env: Record<string, string> = {}) {
    await apiOf(gateway, UpstreamService).createUpstream({
      slug,
      era: Era.LEGACY,
      timeout: durationFromMs(10_000),
      env: Object.entries(env).map(([name, value]) => ({ name, value })),
      transport: {
        value: {
          case: 'stdio',
          value: { command: process.execPath, args: [script, ...args], sharing: ConnectionSharing.PER_PRINCIPAL },
        },
      },
    });
    return callerOf(gateway, slug);
  }

  test('[MS-UPSTREAM-DOWN] and exits at start is answered with -32603 and its last words, secrets masked', async () => {
    const caller = await addProcess('refuse', ['--refuse'], { TOKEN: 's3cret-value' });
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } };
    const { status, messages } = await post(caller, initialize);
    const message = 'The process of the upstream "refuse" exited with code 1: cannot read /etc/token ***';
    expect([status, messages]).toEqual([
      200,
      [{ jsonrpc: '2.0', id: 1, error: { code: -32603, message, data: { reason: 'bad_gateway' } } }],
    ]);
    // Started at once once more, and then not before a while has passed.
    await post(caller, initialize);
    const third = await post(caller, initialize);
    expect(third.messages[0]).toMatchObject({ error: { code: -32603, data: { reason: 'unavailable' } } });
    expect(gateway.output()).not.toContain('s3cret-value');
  });

  test('[MS-UPSTREAM-CLOSES] and exits in the middle of a call is answered with -32603, and started again for the next', async () => {
    const caller = await openSession(await addProcess('crash'));
    const { messages } = await post(caller, toolCall(7, 'crash', { say: 'no memory left' }));
    const message = 'The process of the upstream "crash" exited with code 3: no memory left';
    expect(messages).toEqual([
      { jsonrpc: '2.0', id: 7, error: { code: -32603, message, data: { reason: 'bad_gateway' } } },
    ]);
    const next = await post(caller, toolCall(8, 'echo', { a: 1 }));
    expect(next.messages).toEqual([{ jsonrpc: '2.0', id: 8, result: { a: 1 } }]);
  });

  test('[MS-UPSTREAM-GARBAGE] and prints what is no JSON-RPC is still heard', async () => {
    const caller = await openSession(await addProcess('chatty'));
    const { messages } = await post(caller, toolCall('g', 'garbage'));
    expect(messages).toEqual([{ jsonrpc: '2.0', id: 'g', result: { ok: true } }]);
  });

  test('[MS-UPSTREAM-GARBAGE] and prints a line of 17 MiB is ended, and started again for the next call', async () => {
    const caller = await openSession(await addProcess('huge'));
    const { messages } = await post(caller, toolCall(7, 'huge'));
    const message = 'The process of the upstream "huge" sent a message of more than 16 MiB, and was ended for it.';
    expect(messages).toEqual([
      { jsonrpc: '2.0', id: 7, error: { code: -32603, message, data: { reason: 'bad_gateway' } } },
    ]);
    const next = await post(caller, toolCall(8, 'echo', { a: 1 }));
    expect(next.messages).toEqual([{ jsonrpc: '2.0', id: 8, result: { a: 1 } }]);
  });
});

test('[MS-STAYS-UP] after all of it a good upstream is reached', async () => {
  await addHttp('good');
  const { status, text } = await callOf('good');
  expect([status, text]).toEqual([200, '{"jsonrpc":"2.0","id":7,"result":{"content":[]}}']);
});

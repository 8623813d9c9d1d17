import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'undici';
import { afterEach, describe, expect, test } from 'vitest';
import type { PolicyId } from '../../src/domain/ids.ts';
import { defaultApprovalSettings, type Policy } from '../../src/domain/policy.ts';
import type { Transport, Upstream } from '../../src/domain/upstream.ts';
import type { Script } from '../catalogue/scripted-upstream.ts';
import { steeredUpstream } from '../catalogue/steered-upstream.ts';
import { serveTexts, upstreamOf } from '../upstream/fixtures.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { type Caller, type Json, openSession, type Posted, post, postModern } from './mcp-client.ts';
import { type McpGatewayOptions, startMcpGateway } from './mcp-gateway.ts';
import { PROJECT } from './memory-config.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Denies everything whose name or URI begins so. */
function denying(...prefixes: readonly string[]): Policy {
  return {
    id: 'policy-1' as PolicyId,
    projectId: PROJECT.id,
    slug: 'secrets',
    content: {
      displayName: '',
      priority: 0,
      mode: 'enforce',
      subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
      targets: prefixes.map((prefix) => ({ upstreamPattern: '*', toolPattern: `${prefix}*` })),
      rules: [{ id: 'deny', message: 'Secret.', says: { kind: 'effect', effect: 'deny' } }],
      approval: defaultApprovalSettings,
    },
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

async function gatewayOf(upstream: Upstream, options: Partial<McpGatewayOptions> = {}): Promise<Caller> {
  const gateway = await startMcpGateway({ upstream, policies: [denying('secret')], ...options });
  cleanUps.push(gateway.stop);
  return { url: gateway.url, key: 'alice' };
}

/** A streamable HTTP upstream that answers every request with what the test writes. */
async function byHand(
  era: 'legacy' | 'modern',
  answer: (message: Json, response: ServerResponse, incoming: IncomingMessage) => void,
  changes: Partial<Upstream> = {},
): Promise<Upstream> {
  const server = await serveTexts((incoming, text, response) =>
    answer(text === '' ? {} : (JSON.parse(text) as Json), response, incoming),
  );
  cleanUps.push(server.stop);
  return upstreamOf({ kind: 'streamable_http', url: server.url }, { era, ...changes });
}

const json = (response: ServerResponse, text: string) =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end(text);

const events = (response: ServerResponse, ...texts: readonly string[]) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const text of texts) response.write(text);
  response.end();
};

const list = (method = 'tools/list') => ({ jsonrpc: '2.0', id: 7, method, params: {} });

function ask(era: 'legacy' | 'modern', caller: Caller, method?: string): Promise<Posted> {
  return era === 'legacy' ? post(caller, list(method)) : postModern(caller, list(method));
}

/** Read as text, for what the bytes are. */
async function bytesOf(caller: Caller): Promise<string> {
  const { body } = await request(caller.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${caller.key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
    },
    body: JSON.stringify(list()),
  });
  return body.text();
}

/** Written as no serializer would. */
const ODD = '{ "result" : {"tools":[ {"name":"open","x":1.0} ], "zeta":1e2}, "id":7,"jsonrpc":"2.0" }';

describe('a list over streamable HTTP', () => {
  test.each(['legacy', 'modern'] as const)('of a %s upstream is without what policies deny', async (era) => {
    const upstream = await byHand(era, (_message, response) =>
      json(
        response,
        '{"jsonrpc":"2.0","id":7,"result":{"_meta":{"a":1},"tools":[{"name":"open"},{"name":"secret_one","x":1},{"name":"last"}],"nextCursor":"p2"}}',
      ),
    );
    const answer = await ask(era, await gatewayOf(upstream));
    expect(answer.status).toBe(200);
    expect(await answer.next()).toEqual({
      jsonrpc: '2.0',
      id: 7,
      result: {
        _meta: { a: 1 },
        tools: [{ name: 'open' }, { name: 'last' }],
        nextCursor: 'p2',
        ...(era === 'modern' ? { cacheScope: 'private' } : {}),
      },
    });
  });

  test.each([
    ['tools/list', 'tools', 'name'],
    ['prompts/list', 'prompts', 'name'],
    ['resources/list', 'resources', 'uri'],
  ])('%s is filtered by what its items are for', async (method, field, id) => {
    const items = [{ [id]: 'open://a' }, { [id]: 'secret://b' }];
    const upstream = await byHand('legacy', (_message, response) =>
      json(response, JSON.stringify({ jsonrpc: '2.0', id: 7, result: { [field]: items } })),
    );
    const answer = await ask('legacy', await gatewayOf(upstream), method);
    expect(await answer.next()).toMatchObject({ result: { [field]: [{ [id]: 'open://a' }] } });
  });

  test('is without what the tool filter of the upstream denies', async () => {
    const text = '{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"get"},{"name":"set"}]}}';
    const toolFilter = { allowedTools: [], deniedTools: ['set'] };
    const upstream = await byHand('legacy', (_message, response) => json(response, text), { toolFilter });
    const answer = await ask('legacy', await gatewayOf(upstream, { policies: [] }));
    expect(await answer.next()).toMatchObject({ result: { tools: [{ name: 'get' }] } });
  });

  test('passes as it is where nothing could be hidden, and where nothing is', async () => {
    const upstream = await byHand('legacy', (_message, response) => json(response, ODD));
    expect(await bytesOf(await gatewayOf(upstream, { policies: [] }))).toBe(ODD);
    expect(await bytesOf(await gatewayOf(upstream))).toBe(ODD);
  });

  test('keeps its long numbers when it is rewritten', async () => {
    const text =
      '{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"secret"},{"name":"open","max":12345678901234567890}]}}';
    const upstream = await byHand('legacy', (_message, response) => json(response, text));
    expect(await bytesOf(await gatewayOf(upstream))).toBe(
      '{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"open","max":12345678901234567890}]}}',
    );
  });

  test('that everybody may keep is for this caller only, also where it sees all of it', async () => {
    const text = '{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"open"}],"ttlMs":9,"cacheScope":"public"}}';
    const upstream = await byHand('modern', (_message, response) => json(response, text));
    const answer = await ask('modern', await gatewayOf(upstream));
    expect(await answer.next()).toMatchObject({ result: { ttlMs: 9, cacheScope: 'private' } });
    const unfiltered = await ask('modern', await gatewayOf(upstream, { policies: [] }));
    expect(await unfiltered.next()).toMatchObject({ result: { cacheScope: 'public' } });
  });

  test('in an event stream is filtered, and what else is in the stream passes', async () => {
    const before =
      ': hello\r\n\r\nid: 1\r\nretry: 5\r\ndata:\r\n\r\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"result"}}\n\n';
    const answer =
      'id: 2\nevent: message\ndata: {"jsonrpc":"2.0","id":7,\ndata: "result":{"tools":[{"name":"secret"},{"name":"open"}]}}\n\n';
    const upstream = await byHand('legacy', (_message, response) => events(response, before, answer));
    expect(await bytesOf(await gatewayOf(upstream))).toBe(
      `${before}id: 2\nevent: message\ndata: {"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"open"}]}}\n\n`,
    );
    expect(await bytesOf(await gatewayOf(upstream, { policies: [denying('other')] }))).toBe(before + answer);
  });

  test.each(['legacy', 'modern'] as const)(
    'in an event stream of a %s upstream is filtered however it comes cut in pieces',
    async (era) => {
      const text = `data: {"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"secret"},{"name":"öffen"}]}}\r\n\r\n`;
      const upstream = await byHand(era, (_message, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const bytes = Buffer.from(text);
        const write = (at: number) => {
          if (at < bytes.length) response.write(bytes.subarray(at, at + 1), () => setImmediate(write, at + 1));
          else response.end();
        };
        write(0);
      });
      const answer = await ask(era, await gatewayOf(upstream));
      expect(await answer.rest()).toMatchObject([{ id: 7, result: { tools: [{ name: 'öffen' }] } }]);
    },
  );

  test('without the end of its last event is filtered too', async () => {
    const text = 'data: {"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"secret"}]}}';
    const upstream = await byHand('legacy', (_message, response) => events(response, text));
    expect(await bytesOf(await gatewayOf(upstream))).not.toContain('secret');
  });

  test('whose result hides behind an escape or a byte order mark is filtered too', async () => {
    const escaped = 'data: {"jsonrpc":"2.0","id":7,"\\u0072esult":{"tools":[{"name":"secret"}]}}\n\n';
    const marked = '\uFEFFdata: {"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"secret"}]}}\n\n';
    for (const text of [escaped, marked]) {
      const upstream = await byHand('legacy', (_message, response) => events(response, text));
      expect(await bytesOf(await gatewayOf(upstream))).not.toContain('secret');
    }
  });

  test('that is an error passes as it is', async () => {
    const text = '{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"secret is out","data":{"tools":[]}}}';
    const upstream = await byHand('legacy', (_message, response) => json(response, text));
    expect(await bytesOf(await gatewayOf(upstream))).toBe(text);
  });

  test.each([
    ['JSON', (response: ServerResponse, text: string) => json(response, text)],
    ['an event', (response: ServerResponse, text: string) => events(response, `data: ${text}\n\n`)],
  ])('that is too large to be filtered does not pass as %s', { timeout: 60_000 }, async (_form, send) => {
    const tool = `{"name":"secret","description":"${'x'.repeat(1024 * 1024)}"}`;
    const text = `{"jsonrpc":"2.0","id":7,"result":{"tools":[${Array.from({ length: 17 }, () => tool).join()}]}}`;
    const upstream = await byHand('legacy', (_message, response) => send(response, text));
    const answer = await ask('legacy', await gatewayOf(upstream));
    expect(await answer.rest()).toEqual([
      {
        jsonrpc: '2.0',
        id: 7,
        error: {
          code: -32603,
          message:
            'The upstream "demo" answered with more than 16 MiB at once, which is too large for the gateway to leave out what the caller may not see.',
          data: { reason: 'bad_gateway' },
        },
      },
    ]);
  });

  test('that cannot be read does not pass', async () => {
    const texts = ['data: {"result": secret\n\n', 'data: ["result", "secret"]\n\n'];
    for (const text of texts) {
      const upstream = await byHand('legacy', (_message, response) => events(response, text));
      const answer = await ask('legacy', await gatewayOf(upstream));
      expect(await answer.rest()).toMatchObject([{ id: 7, error: { code: -32603 } }]);
    }
  });

  test('that a client missed is filtered when it is sent again on its stream', async () => {
    const missed = 'id: 9\ndata: {"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"secret"},{"name":"open"}]}}\n\n';
    const upstream = await byHand('legacy', (message, response, incoming) => {
      if (incoming.method === 'GET') return events(response, missed);
      const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', version: '1' } };
      response.setHeader('mcp-session-id', 'session-1');
      json(response, JSON.stringify({ jsonrpc: '2.0', id: message['id'], result }));
    });
    const caller = await openSession(await gatewayOf(upstream));
    const { body } = await request(caller.url, {
      headers: {
        authorization: 'Bearer alice',
        accept: 'text/event-stream',
        'mcp-session-id': String(caller.sessionId),
        'last-event-id': '8',
      },
    });
    expect(await body.text()).toBe('id: 9\ndata: {"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"open"}]}}\n\n');
  });
});

describe('a list over stdio', () => {
  test.each(['legacy', 'modern'] as const)('of a %s upstream is without what policies deny', async (era) => {
    const script: Partial<Script> = { era, tools: [{ name: 'open' }, { name: 'secret' }] };
    const { upstream, stop } = await steeredUpstream(script);
    cleanUps.push(stop);
    const caller = await gatewayOf(upstream);
    const answer = await ask(era, era === 'legacy' ? await openSession(caller) : caller);
    const { result } = (await answer.next()) as { result: Json };
    expect(result['tools']).toEqual([{ name: 'open' }]);
    expect(result['cacheScope']).toBe(era === 'modern' ? 'private' : undefined);
  });
});

test('a list over SSE is without what policies deny', { timeout: 60_000 }, async () => {
  const server = await serveEverything('sse');
  cleanUps.push(server.stop);
  const transport: Transport = { kind: 'sse', url: server.url, sharing: 'per_principal' };
  const namesOf = async (policies: readonly Policy[]) => {
    const caller = await openSession(await gatewayOf(upstreamOf(transport), { policies }));
    const { result } = (await (await ask('legacy', caller)).next()) as { result: { tools: Json[] } };
    return result.tools.map(({ name }) => name);
  };
  const all = await namesOf([]);
  expect(all).toContain('echo');
  expect(await namesOf([denying('echo')])).toEqual(all.filter((name) => name !== 'echo'));
});

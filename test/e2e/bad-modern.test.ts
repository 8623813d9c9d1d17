import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, refusalOf, send } from './bad-http-client.ts';
import { type BadInputInstallation, mcpHeaders, startBadInputInstallation } from './bad-installation.ts';

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
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const good = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'look' };

interface Parts {
  readonly headers?: Record<string, string | undefined>;
  readonly name?: string;
  readonly method?: string;
  readonly meta?: object;
}

/** A good modern call of `look`, but for what the parts change; a header that is undefined is left out. */
async function callWith(
  parts: Parts,
): Promise<Answer & { rpc: { id: unknown; error?: { code: number; message: string; data?: unknown } } }> {
  const headers = Object.entries({ ...good, ...parts.headers }).filter(([, value]) => value !== undefined);
  const params = { name: parts.name ?? 'look', arguments: {}, _meta: parts.meta ?? meta };
  const answer = await send(port, {
    path,
    headers: mcpHeaders(key, Object.fromEntries(headers) as Record<string, string>),
    body: JSON.stringify({ jsonrpc: '2.0', id: 'm1', method: parts.method ?? 'tools/call', params }),
  });
  return { ...answer, rpc: JSON.parse(answer.text) };
}

async function expectProblem(parts: Parts, code: number, message: string) {
  const before = installation.recorder.calls.length;
  const { status, rpc } = await callWith(parts);
  expect([status, rpc]).toEqual([400, { jsonrpc: '2.0', id: 'm1', error: { code, message } }]);
  expect(installation.recorder.calls.length).toBe(before);
}

describe('headers that contradict the body', () => {
  test('[MC-HEADER-MISMATCH] a missing header is answered with 400 and -32020', async () => {
    await expectProblem(
      { headers: { 'mcp-protocol-version': undefined } },
      -32020,
      "Header mismatch: the header 'MCP-Protocol-Version' is missing",
    );
    await expectProblem(
      { headers: { 'mcp-method': undefined } },
      -32020,
      "Header mismatch: the header 'Mcp-Method' is missing",
    );
    await expectProblem(
      { headers: { 'mcp-name': undefined } },
      -32020,
      "Header mismatch: the header 'Mcp-Name' is missing",
    );
  });

  test('[MC-HEADER-MISMATCH] a header that says something else is answered with 400 and -32020', async () => {
    const method = "Header mismatch: the header 'Mcp-Method' does not match 'method' in the body";
    await expectProblem({ headers: { 'mcp-method': 'tools/list' } }, -32020, method);
    await expectProblem({ headers: { 'mcp-method': 'Tools/Call' } }, -32020, method);
    await expectProblem({ method: 'ping' }, -32020, method);
    await expectProblem(
      { headers: { 'mcp-protocol-version': '2025-11-25' } },
      -32020,
      "Header mismatch: the header 'MCP-Protocol-Version' does not match 'io.modelcontextprotocol/protocolVersion' in the body",
    );
  });

  test('[MC-HEADER-MISMATCH] a name in the header other than that in the body is answered with 400 and -32020', async () => {
    const message = "Header mismatch: the header 'Mcp-Name' does not match 'params.name' in the body";
    for (const header of [
      'break',
      'LOOK',
      'look, break',
      '=?base64?YnJlYWs=?=',
      '=?base64?bG9vaw?=?=',
      '=?BASE64?bG9vaw==?=',
    ]) {
      await expectProblem({ headers: { 'mcp-name': header } }, -32020, message);
    }
  });

  test('[MC-HEADER-MISMATCH] the base64 sentinel is decoded before names are compared', async () => {
    const { status } = await callWith({ headers: { 'mcp-name': '=?base64?bG9vaw==?=' } });
    expect(status).toBe(200);
    const umlaut = await callWith({ name: 'größe', headers: { 'mcp-name': '=?base64?Z3LDtsOfZQ==?=' } });
    expect(umlaut.status).toBe(200);
  });
});

describe('the envelope in _meta', () => {
  test('[MC-UNSUPPORTED-VERSION] an unsupported version is answered with 400, -32022 and those supported', async () => {
    const version = '2031-01-01';
    const { status, rpc } = await callWith({
      headers: { 'mcp-protocol-version': version },
      meta: { ...meta, 'io.modelcontextprotocol/protocolVersion': version },
    });
    expect([status, rpc]).toEqual([
      400,
      {
        jsonrpc: '2.0',
        id: 'm1',
        error: {
          code: -32022,
          message: 'Unsupported protocol version',
          data: {
            supported: ['2026-07-28'],
            requested: '2031-01-01',
          },
        },
      },
    ]);
  });

  test('[MC-META-KEYS] a missing key of _meta is answered with 400 and -32602', async () => {
    const { 'io.modelcontextprotocol/clientCapabilities': _capabilities, ...withoutCapabilities } = meta;
    const capabilities = "'params._meta' must hold 'io.modelcontextprotocol/clientCapabilities', an object";
    await expectProblem({ meta: withoutCapabilities }, -32602, capabilities);
    for (const wrong of [null, 'all', true, []]) {
      const bad = { ...meta, 'io.modelcontextprotocol/clientCapabilities': wrong };
      await expectProblem({ meta: bad }, -32602, capabilities);
    }
    await expectProblem({ meta: {} }, -32602, "'params._meta' must hold 'io.modelcontextprotocol/protocolVersion'");
  });

  test('[MS-UNKNOWN-METHOD] an unknown method is answered with 404 and -32601', async () => {
    const { status, rpc } = await callWith({
      method: 'no/such',
      headers: { 'mcp-method': 'no/such', 'mcp-name': undefined },
    });
    expect([status, rpc.error?.code]).toEqual([404, -32601]);
  });

  test('[MC-NO-SESSION-M] the session header of the other era is ignored', async () => {
    const answer = await callWith({ headers: { 'mcp-session-id': 'garbage' } });
    expect(answer.status).toBe(200);
    expect(answer.headers['mcp-session-id']).toBeUndefined();
  });

  test('[MC-GET-405-M] GET and DELETE are answered with 405', async () => {
    for (const method of ['GET', 'DELETE']) {
      const headers = mcpHeaders(key, { 'mcp-protocol-version': '2026-07-28' });
      const answer = await send(port, { method, path, headers });
      expect([answer.status, refusalOf(answer).code]).toEqual([405, 'method_not_allowed']);
    }
  });
});

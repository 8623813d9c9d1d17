import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, refusalOf, send } from './bad-http-client.ts';
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

function post(body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return send(port, { path, headers: mcpHeaders(key, headers), body });
}

/** Status and JSON-RPC error of an answer; its id too. */
function rpcErrorOf({ status, text }: Answer) {
  const { jsonrpc, id, error } = JSON.parse(text);
  return { status, jsonrpc, id, code: error.code, message: error.message };
}

async function expectError(body: string | Buffer, code: number, message: string, id: unknown = null) {
  const before = installation.recorder.calls.length;
  expect(rpcErrorOf(await post(body))).toEqual({ status: 400, jsonrpc: '2.0', id, code, message });
  expect(installation.recorder.calls.length).toBe(before);
}

const call = (params: string, more = '') => `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":${params}${more}}`;

describe('text that is no JSON', () => {
  test('[MS-BROKEN-JSON] broken JSON is answered with -32700 and the id null', async () => {
    for (const body of [
      '',
      '{',
      GOOD_CALL.slice(0, -1),
      `${GOOD_CALL}}`,
      "{'jsonrpc':'2.0'}",
      'PING',
      `${GOOD_CALL}\0`,
    ]) {
      const error = rpcErrorOf(await post(body));
      expect([error.status, error.code, error.id]).toEqual([400, -32700, null]);
      expect(error.message).toMatch(/^the body is not valid JSON: /);
    }
  });

  test('[MS-BROKEN-JSON] invalid UTF-8 is answered with -32700', async () => {
    const message = 'the body is not valid UTF-8';
    const [before, after] = GOOD_CALL.split('look');
    for (const bytes of ['ff', 'c0af', 'eda080', 'f8888080', 'e282']) {
      const name = Buffer.from(bytes, 'hex');
      await expectError(Buffer.concat([Buffer.from(before ?? ''), name, Buffer.from(after ?? '')]), -32700, message);
    }
  });

  test('a byte order mark and other encodings of Unicode are no JSON', async () => {
    for (const body of [Buffer.from(`\ufeff${GOOD_CALL}`), Buffer.from(GOOD_CALL, 'utf16le')]) {
      const error = rpcErrorOf(await post(body));
      expect([error.status, error.code]).toEqual([400, -32700]);
    }
  });
});

describe('JSON that is no message of MCP', () => {
  test('[MS-BATCH] a batch is answered with -32600, also an empty one and one of one', async () => {
    for (const body of ['[]', `[${GOOD_CALL}]`, `[${GOOD_CALL},${GOOD_CALL}]`]) {
      await expectError(body, -32600, 'batches are not part of MCP: send one JSON-RPC message per request');
    }
  });

  test('a bare value is answered with -32600', async () => {
    for (const body of ['null', '1', '"tools/call"', 'true']) {
      await expectError(body, -32600, 'the body must be one JSON-RPC message, an object');
    }
  });

  test('[MS-NULL-ID] an id that is null, a fraction, too large, or no scalar is answered with -32600', async () => {
    for (const id of ['null', '1.5', 'true', '[1]', '{}', '1e400', '9007199254740993']) {
      await expectError(GOOD_CALL.replace('7', id), -32600, "'id' must be a string or an integer");
    }
  });

  test('a message without version, method or usable params is answered with -32600 and its id', async () => {
    await expectError('{}', -32600, `'jsonrpc' must be "2.0"`);
    await expectError(GOOD_CALL.replace('"2.0"', '2.0'), -32600, `'jsonrpc' must be "2.0"`, 7);
    await expectError(GOOD_CALL.replace('"2.0"', '"1.0"'), -32600, `'jsonrpc' must be "2.0"`, 7);
    await expectError('{"jsonrpc":"2.0","id":7}', -32600, "the message has no 'method'", 7);
    await expectError(
      '{"jsonrpc":"2.0","id":7,"method":5}',
      -32600,
      "a request has a 'method', a string, and neither 'result' nor 'error'",
      7,
    );
    await expectError(
      '{"jsonrpc":"2.0","id":7,"method":5,"result":{}}',
      -32600,
      "a request has a 'method', a string, and neither 'result' nor 'error'",
      7,
    );
    await expectError(call('[]'), -32600, "'params' must be an object", 7);
    await expectError(call('null'), -32600, "'params' must be an object", 7);
  });

  test('[MC-UNAMBIGUOUS] a key that occurs twice is answered with -32600, however deep and however written', async () => {
    const message = 'an object in the message holds the same key twice';
    const twice = [
      '"name":"look","name":"break"',
      '"name":"look","n\\u0061me":"break"',
      '"name":"look","a":{"b":1,"b":2}',
    ];
    for (const params of twice) {
      await expectError(call(`{${params}}`), -32600, message, 7);
    }
    await expectError(call('{"name":"look"}', ',"params":{"name":"break"}'), -32600, message, 7);
    await expectError(call('{"name":"look","arguments":[{"__proto__":1,"__proto__":2}]}'), -32600, message, 7);
  });

  test('[MC-UNAMBIGUOUS] keys that differ from those of the protocol by case only are answered with -32600', async () => {
    await expectError(call('{"name":"look","Name":"break"}'), -32600, "'Name' must be written 'name'", 7);
    await expectError(call('{"Name":"break"}'), -32600, "'Name' must be written 'name'", 7);
    await expectError(call('{"name":"look","ARGUMENTS":{}}'), -32600, "'ARGUMENTS' must be written 'arguments'", 7);
    await expectError(call('{"name":"look"}', ',"Method":"ping"'), -32600, "'Method' must be written 'method'", 7);
  });

  test('[MC-UNAMBIGUOUS] a long s or a Kelvin sign does not make another key of the same letters', async () => {
    // Go's encoding/json takes both for `s` and `k`, and the last of two equal keys wins.
    for (const body of [
      call('{"name":"look"}', ',"param\u017f":{"name":"break"}'),
      call('{"name":"look","argument\u017f":{}}'),
    ]) {
      const error = rpcErrorOf(await post(body));
      expect([error.status, error.code]).toEqual([400, -32600]);
    }
  });

  test('[MS-NESTING] nesting 10,000 deep is answered with -32600, of arrays, of objects, and unclosed', async () => {
    const message = 'the message is nested deeper than 200 levels';
    const arrays = '['.repeat(10_000) + ']'.repeat(10_000);
    await expectError(call(`{"name":"look","arguments":{"a":${arrays}}}`), -32600, message);
    await expectError(call(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), -32600, message);
    await expectError('['.repeat(900_000), -32600, message);
  });

  test('brackets and quotes within strings are no nesting', async () => {
    const text = JSON.stringify(`${'['.repeat(10_000)}\\"{:`);
    const answer = await post(call(`{"name":"look","arguments":{"a":${text}}}`));
    expect([answer.status, answer.text]).toEqual([200, GOOD_ANSWER]);
  });

  test('a name that is missing, no text, or very long is answered with -32602', async () => {
    const long = `{"name":"${'n'.repeat(5000)}"}`;
    for (const params of ['{}', '{"name":""}', '{"name":null}', '{"name":["look"]}', '{"name":{"a":"look"}}', long]) {
      const error = rpcErrorOf(await post(call(params)));
      expect([error.id, error.code]).toEqual([7, -32602]);
      expect(error.message).toMatch(/^'params\.name' must be a string/);
    }
  });
});

describe('messages that are no requests', () => {
  test('[MC-202] a notification gets 202 without a body', async () => {
    const answer = await post('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}');
    expect([answer.status, answer.text]).toEqual([202, '']);
  });

  test('[PR-DECISION-FIRST] a tools/call without an id does not reach the upstream undecided', async () => {
    const before = installation.recorder.calls.length;
    await post('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"break"}}');
    expect(installation.recorder.calls.length).toBe(before);
  });
});

describe('headers of the legacy era', () => {
  test('[MS-CONTENT-TYPE] another content type is answered with 400 and validation_failed', async () => {
    const types = [
      'text/plain',
      'text/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/jsonp',
    ];
    for (const type of types) {
      const answer = await post(GOOD_CALL, { 'content-type': type });
      expect(answer.status).toBe(400);
      expect(refusalOf(answer)).toMatchObject({
        code: 'validation_failed',
        message: "The header 'Content-Type' must be 'application/json', in UTF-8.",
      });
    }
    expect((await post(GOOD_CALL, { 'content-type': 'Application/JSON; charset=UTF-8' })).text).toBe(GOOD_ANSWER);
  });

  test('[MC-UNAMBIGUOUS] a charset by which the upstream could read another call is refused', async () => {
    // As UTF-7 this calls `break`: +ACI- is a quotation mark there.
    const body = call('{"name":"look","x":"+ACI-,+ACI-name+ACI-:+ACI-break"}');
    for (const charset of ['utf-7', 'UTF-7', '"utf-7"', 'utf-16', 'iso-2022-jp']) {
      const answer = await post(body, { 'content-type': `application/json; charset=${charset}` });
      expect([charset, answer.status]).toEqual([charset, 400]);
    }
  });

  test('[MC-ACCEPT] an Accept header that lacks one of the two types is answered with 406', async () => {
    for (const accept of ['application/json', 'text/event-stream', 'text/html']) {
      expect(rpcErrorOf(await post(GOOD_CALL, { accept }))).toEqual({
        status: 406,
        jsonrpc: '2.0',
        id: 7,
        code: -32600,
        message: "The header 'Accept' must allow both 'application/json' and 'text/event-stream'.",
      });
    }
  });

  test('[MC-VERSION-HEADER] an invalid MCP-Protocol-Version is answered with 400', async () => {
    for (const version of ['1999-01-01', '2025-11-26', 'latest', '2025-11-25, 2025-11-25', '']) {
      const answer = await post(GOOD_CALL, { 'mcp-protocol-version': version });
      expect([version, answer.status]).toEqual([version, 400]);
    }
  });

  test('[MC-VERSION-HEADER] an invalid MCP-Protocol-Version is answered with 400 on GET and DELETE too', async () => {
    for (const method of ['GET', 'DELETE']) {
      const headers = mcpHeaders(key, { 'mcp-protocol-version': '1999-01-01', 'mcp-session-id': 'x' });
      expect([method, (await send(port, { method, path, headers })).status]).toEqual([method, 400]);
    }
  });

  test('[MC-SESSION-404] garbage for a session id is answered with 404, whatever the method', async () => {
    const ids = [
      'x',
      'a.b.c.d.e',
      'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aaaa.bbbb.cccc',
      'z'.repeat(7000),
      '../..',
      '\u00e9',
    ];
    for (const id of ids) {
      for (const method of ['POST', 'GET', 'DELETE']) {
        const headers = mcpHeaders(key, { 'mcp-session-id': id });
        const body = method === 'POST' ? GOOD_CALL : '';
        const answer = await send(port, { method, path, headers, body });
        expect([method, answer.status, refusalOf(answer).code]).toEqual([method, 404, 'not_found']);
      }
    }
  });

  test('[MC-SESSION-400] DELETE without a session id is answered with 400', async () => {
    const answer = await send(port, { method: 'DELETE', path, headers: mcpHeaders(key) });
    expect([answer.status, refusalOf(answer).code]).toEqual([400, 'validation_failed']);
  });

  test("[MS-UNKNOWN-METHOD] an unknown method is decided, and answered with the upstream's own -32601", async () => {
    const answer = await post('{"jsonrpc":"2.0","id":"x","method":"no/such"}');
    expect(answer.text).toBe('{"jsonrpc":"2.0","id":"x","error":{"code":-32601,"message":"Method not found"}}');
  });

  test('after all of it a good call is answered', async () => {
    const answer = await post(GOOD_CALL);
    expect([answer.status, answer.text]).toEqual([200, GOOD_ANSWER]);
  });
});

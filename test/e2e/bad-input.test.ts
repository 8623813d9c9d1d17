import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import { refusalOf, send, sendBytes, sendHttp2 } from './bad-http-client.ts';
import {
  addExpiredKey,
  addKey,
  addRevokedKey,
  addRotatedKey,
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

const ADVICE = 'Send `Authorization: Bearer <API key or access token>` or `X-API-Key: <API key>`.';
const PLAIN = '/v1/mcp/plain';

function call(headers: Record<string, string>, path = PLAIN) {
  const { authorization: _none, ...plain } = mcpHeaders('');
  return send(port, { path, headers: { ...plain, ...headers }, body: GOOD_CALL });
}

describe('credentials', () => {
  test('[PD-CREDENTIALS] each of the three headers carries a key', async () => {
    for (const headers of [{ authorization: `Bearer ${key}` }, { 'x-api-key': key }, { 'x-veto-api-key': key }]) {
      const answer = await call(headers);
      expect([answer.status, answer.text]).toEqual([200, GOOD_ANSWER]);
    }
  });

  test('[MS-NO-KEY] a request without a credential is refused with 401 and invalid_api_key', async () => {
    const answer = await call({});
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(JSON.parse(answer.text)).toEqual({
      error: {
        code: 'invalid_api_key',
        message: `No credential was sent. ${ADVICE}`,
        request_id: answer.headers['x-request-id'],
      },
    });
  });

  const malformed = {
    'half of a key': () => key.slice(0, 20),
    'one with a changed letter': () => key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a'),
    'a word': () => 'secret',
    'something like a JWT': () => 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.',
    'a JWT signed by somebody else': () =>
      'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZG1pbiIsImlzcyI6InBvcnRjdWxsaXMifQ.c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlMTI',
    'one of 10,000 characters': () => 'a'.repeat(10_000),
  };
  for (const [what, make] of Object.entries(malformed)) {
    test(`[MS-MALFORMED-KEY] a malformed key, ${what}, is refused with 401 and invalid_api_key`, async () => {
      const answer = await call({ authorization: `Bearer ${make()}` });
      expect([answer.status, refusalOf(answer).code]).toEqual([401, 'invalid_api_key']);
    });
  }

  test('another scheme than Bearer is refused with 401 and says which to use', async () => {
    const answer = await call({ authorization: 'Basic YWRtaW46YWRtaW4=' });
    expect(answer.status).toBe(401);
    expect(refusalOf(answer)).toMatchObject({
      code: 'invalid_api_key',
      message: `The Authorization header has another scheme than Bearer. ${ADVICE}`,
    });
  });

  test('[MS-MALFORMED-KEY] a well-formed key of nobody is refused with 401 and invalid_api_key', async () => {
    const answer = await call({ authorization: `Bearer ${createApiKey()}` });
    expect(answer.status).toBe(401);
    expect(refusalOf(answer)).toMatchObject({
      code: 'invalid_api_key',
      message: `The API key is not known. ${ADVICE}`,
    });
  });

  test('[MS-EXPIRED-KEY] an expired key is refused with 401 and api_key_expired', async () => {
    const answer = await call({ authorization: `Bearer ${await addExpiredKey(installation.gateway)}` });
    expect(answer.status).toBe(401);
    expect(refusalOf(answer)).toMatchObject({
      code: 'api_key_expired',
      message: 'The API key has expired. Create a new one.',
    });
  });

  test('[MS-REVOKED-KEY] a revoked key is refused with 401 and api_key_revoked', async () => {
    const answer = await call({ 'x-api-key': await addRevokedKey(installation.gateway) });
    expect(answer.status).toBe(401);
    expect(refusalOf(answer)).toMatchObject({
      code: 'api_key_revoked',
      message: 'The API key was revoked. Use another one.',
    });
  });

  test('[ID-ROTATION] a secret that was rotated out is refused with api_key_expired, the new one accepted', async () => {
    const { old, current } = await addRotatedKey(installation.gateway);
    const answer = await call({ authorization: `Bearer ${old}` });
    expect(answer.status).toBe(401);
    expect(refusalOf(answer)).toMatchObject({
      code: 'api_key_expired',
      message: 'The API key was rotated and this secret has ended. Use the new secret.',
    });
    expect((await call({ authorization: `Bearer ${current}` })).status).toBe(200);
  });

  test('[PD-CREDENTIALS] a key in the query string is no credential', async () => {
    for (const name of ['key', 'api_key', 'apiKey', 'access_token', 'token', 'X-API-Key', 'authorization']) {
      const answer = await call({}, `${PLAIN}?${name}=${key}`);
      expect([answer.status, refusalOf(answer).message]).toEqual([401, `No credential was sent. ${ADVICE}`]);
    }
    expect(installation.gateway.output()).not.toContain(key);
  });

  test('two different credentials at once are refused, the same one twice is not', async () => {
    const other = await addKey(installation.gateway);
    const answer = await call({ authorization: `Bearer ${key}`, 'x-api-key': other.secret });
    expect(answer.status).toBe(401);
    expect(refusalOf(answer).message).toBe(`Two different credentials were sent; send one. ${ADVICE}`);
    expect((await call({ authorization: `Bearer ${key}`, 'x-api-key': key })).status).toBe(200);
  });

  test('two Authorization headers are refused, whichever is good', async () => {
    for (const credentials of [
      [`Bearer ${key}`, 'Bearer nonsense'],
      ['Bearer nonsense', `Bearer ${key}`],
    ]) {
      const lines = credentials.map((credential) => `Authorization: ${credential}\r\n`).join('');
      const answer = await sendBytes(
        port,
        `POST ${PLAIN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines}Content-Type: application/json\r\n` +
          `Accept: */*\r\nContent-Length: ${GOOD_CALL.length}\r\n\r\n${GOOD_CALL}`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 40[01] /);
    }
  });

  test('[PD-ORDER] the method is checked before the key, and the key before slug and body', async () => {
    const put = await send(port, { method: 'PUT', path: PLAIN });
    const large = await send(port, { path: PLAIN, body: 'x'.repeat(2_000_000) });
    const deep = await call({ 'content-type': 'text/plain' }, '/v1/mcp/no-such');
    expect([put.status, large.status, deep.status]).toEqual([405, 401, 401]);
  });

  test('a stranger is not told which slugs exist', async () => {
    const answers = [await call({}), await call({}, '/v1/mcp/no-such'), await call({}, '/v1/mcp/off')];
    expect(new Set(answers.map((answer) => refusalOf(answer).message)).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
  });
});

describe('what a known caller may reach', () => {
  test('[MS-UNKNOWN-SLUG] an unknown slug is answered with 404 and not_found', async () => {
    const answer = await call({ authorization: `Bearer ${key}` }, '/v1/mcp/no-such');
    expect(answer.status).toBe(404);
    expect(refusalOf(answer)).toMatchObject({
      code: 'not_found',
      message: "There is no upstream or gateway 'no-such' in this project.",
    });
  });

  test('[MS-DISABLED-UPSTREAM] a disabled upstream is answered with 403 and permission_denied', async () => {
    const answer = await call({ authorization: `Bearer ${key}` }, '/v1/mcp/off');
    expect(answer.status).toBe(403);
    expect(refusalOf(answer)).toMatchObject({
      code: 'permission_denied',
      message: "The upstream 'off' is disabled. An operator can enable it with UpdateUpstream.",
    });
  });

  test('[MS-NO-GRANT] without a grant the answer is 403, and the same for a slug that does not exist', async () => {
    const { secret } = await addKey(installation.gateway, { upstreamIds: [installation.ids.plain] });
    expect((await call({ authorization: `Bearer ${secret}` })).status).toBe(200);
    for (const slug of ['other', 'off', 'no-such', installation.ids.other]) {
      const answer = await call({ authorization: `Bearer ${secret}` }, `/v1/mcp/${slug}`);
      expect(answer.status).toBe(403);
      expect(refusalOf(answer)).toMatchObject({
        code: 'permission_denied',
        message: `The credential has no grant for the upstream or gateway '${slug}' (or it might not exist).`,
      });
    }
  });

  test('[ID-SCOPES] a key without the scope tools:call is refused with 403 and permission_denied', async () => {
    const { secret } = await addKey(installation.gateway, { scopes: [Scope.GATEWAY_READ] });
    const answer = await call({ authorization: `Bearer ${secret}` });
    expect(answer.status).toBe(403);
    expect(refusalOf(answer)).toMatchObject({
      code: 'permission_denied',
      message: "The credential lacks the scope 'tools:call'.",
    });
  });

  test('[PD-SLUG-OR-ID] an upstream is reached by its id as by its slug', async () => {
    const answer = await call({ authorization: `Bearer ${key}` }, `/v1/mcp/${installation.ids.plain}`);
    expect([answer.status, answer.text]).toEqual([200, GOOD_ANSWER]);
  });

  test('[PD-METHODS] other methods than GET, POST and DELETE are answered with 405', async () => {
    for (const method of ['PUT', 'PATCH', 'HEAD', 'PROPFIND']) {
      const answer = await send(port, { method, path: PLAIN, headers: mcpHeaders(key), body: '' });
      expect(answer.status).toBe(405);
      expect(answer.headers.allow).toBe('GET, POST, DELETE');
      expect(answer.text === '' || refusalOf(answer).code === 'method_not_allowed').toBe(true);
    }
  });

  test('odd spellings of the path lead nowhere', async () => {
    const paths = ['/v1/mcp/', '/v1/mcp', '/v1/mcp/plain/', '/v1/mcp/../mcp/plain', '//v1/mcp/plain', '/v1/MCP/plain'];
    for (const path of [...paths, '/v1/mcp/pl%61in', '/v1/mcp/plain%00', '/v1/mcp/plain;x=1', '/v1/mcp/PLAIN']) {
      expect([path, (await call({ authorization: `Bearer ${key}` }, path)).status]).toEqual([path, 404]);
    }
  });
});

describe('over HTTP/2', () => {
  test('[SV-H2C] the same refusals and the same answer come over HTTP/2 with prior knowledge', async () => {
    const over2 = async (headers: Record<string, string>, path = PLAIN, method = 'POST') => {
      const { status, text } = await sendHttp2(port, { method, path, headers, body: GOOD_CALL });
      return [status, status === 200 ? text : refusalOf({ text }).code];
    };
    const { authorization: _none, ...nobody } = mcpHeaders('');
    expect(await over2(nobody)).toEqual([401, 'invalid_api_key']);
    expect(await over2(nobody, `${PLAIN}?api_key=${key}`)).toEqual([401, 'invalid_api_key']);
    expect(await over2(mcpHeaders(key), '/v1/mcp/no-such')).toEqual([404, 'not_found']);
    expect(await over2(mcpHeaders(key), '/v1/mcp/off')).toEqual([403, 'permission_denied']);
    expect(await over2(mcpHeaders(key), PLAIN, 'PUT')).toEqual([405, 'method_not_allowed']);
    expect(await over2(mcpHeaders(key))).toEqual([200, GOOD_ANSWER]);
  });
});

test('no refused call has reached the upstream, and the gateway still answers', async () => {
  const before = installation.recorder.calls.length;
  await call({});
  await call({ authorization: `Bearer ${key}` }, '/v1/mcp/off');
  expect(installation.recorder.calls.length).toBe(before);
  expect((await call({ authorization: `Bearer ${key}` })).text).toBe(GOOD_ANSWER);
  expect(installation.recorder.calls.length).toBe(before + 1);
});

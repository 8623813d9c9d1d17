import { expect, test } from 'vitest';
import { serveRaw } from '../upstream/raw-http-upstream.ts';
import { legacyClient, modernClient, startFace } from './bridge-setup.ts';

const DEEP = `{"content":[],"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
const NO_ANSWER = 'The upstream "demo" answered with neither a result nor an error. Its maker can tell why.';
const TOO_DEEP =
  'The answer of the upstream "demo" is no JSON-RPC message (content type \'application/json\'). ' +
  'Check its log, and that its URL is its MCP endpoint.';

test.each([
  ['nothing', '', NO_ANSWER],
  ['a result that is null', ',"result":null', NO_ANSWER],
  ['a list as result', ',"result":[1]', NO_ANSWER],
  ['an error that is a text', ',"error":"broken"', NO_ANSWER],
  ['a result that is nested too deeply', `,"result":${DEEP}`, TOO_DEEP],
])('%s in place of an answer is told to the client as the upstream’s fault', async (_what, rest, message) => {
  const raw = await serveRaw(({ method, id, text }) => {
    if (method !== 'tools/call') return false;
    text(200, 'application/json', `{"jsonrpc":"2.0","id":${JSON.stringify(id)}${rest}}`);
    return true;
  });
  const face = await startFace({ upstream: raw.upstream });
  const refused = { jsonrpc: '2.0', id: 7, error: { code: -32603, message, data: { reason: 'bad_gateway' } } };

  const legacy = await legacyClient(face);
  expect(await (await legacy.call('any', {}, {}, 7)).rest()).toEqual([refused]);
  expect(await modernClient(face).ask('any', {}, {}, 7)).toEqual(
    // What its error says in place of an object is no reason, but is an error.
    rest.includes('error') ? { ...refused, error: { code: -32603, message: 'The upstream told no reason.' } } : refused,
  );
  await raw.stop();
});

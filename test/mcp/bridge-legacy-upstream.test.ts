import { describe, expect, onTestFinished, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { fakeUpstream } from '../upstream/stdio.ts';
import { ACCEPTED, type Answer, FORM, modernClient, programOf, ROOTS, receivedBy, startFace } from './bridge-setup.ts';
import { LEGACY_SDK_PROGRAM, serveLegacySdk } from './bridge-upstreams/legacy-sdk.ts';
import { type Json, postModern } from './mcp-client.ts';

const fake = (changes: Partial<Upstream> = {}) => fakeUpstream({}, { era: 'legacy', timeoutMs: 20_000, ...changes });
const sdk = () => programOf(LEGACY_SDK_PROGRAM, { era: 'legacy' });

async function setUp(options: Partial<Parameters<typeof startFace>[0]> = {}, capabilities?: Json) {
  const face = await startFace({ upstream: fake(), ...options });
  const client = modernClient(face, 'alice', capabilities);
  /** Lets the upstream ask something, and returns the first round's result. */
  const ask = async (args: Json = {}, id: string | number = 1) =>
    (await client.ask('ask', { ...ROOTS, ...args }, {}, id)).result;
  /** Comes again with an answer to the only question. */
  const retry = (
    round: Answer['result'],
    response: unknown = { roots: [] },
    args: Json = {},
    id: string | number = 2,
  ) => client.ask('ask', { ...ROOTS, ...args }, answers(round, response), id);
  return { face, client, ask, retry };
}

function answers({ inputRequests, requestState }: Answer['result'], response: unknown): Json {
  const [key = ''] = Object.keys(inputRequests);
  return { requestState, inputResponses: { [key]: response } };
}

const LAPSED = { code: -32602, message: expect.stringContaining('has lapsed') };
const OTHER_CALL = { code: -32602, message: expect.stringContaining('belongs to another call') };

describe('a modern client’s request to a legacy upstream', () => {
  test('comes without what only the modern era knows, and has a complete result', async () => {
    const { client } = await setUp();
    const _meta = { mine: 1, progressToken: 'p', 'io.modelcontextprotocol/logLevel': 'info' };
    expect(await client.ask('echo', { a: 1 }, { _meta, inputResponses: {}, other: 2 })).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { a: 1, resultType: 'complete' },
    });
    const [initialize, , call] = await receivedBy(client);
    expect(initialize?.params).toMatchObject({ protocolVersion: '2025-11-25', capabilities: { roots: {} } });
    expect(call?.params).toEqual({
      name: 'echo',
      arguments: { a: 1 },
      other: 2,
      _meta: { mine: 1, progressToken: expect.any(Number) },
    });
  });

  test('has a result that is good for this moment and client when it is one that clients keep', async () => {
    const face = await startFace({ upstream: sdk() });
    const read = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'note://1' } };
    const posted = await postModern({ url: face.url, key: 'alice' }, read);
    expect(await posted.next()).toMatchObject({ result: { resultType: 'complete', ttlMs: 0, cacheScope: 'private' } });
  });

  test('has HTTP status 404 when the upstream does not know its method', async () => {
    const { client } = await setUp();
    const posted = await postModern(client.caller, { jsonrpc: '2.0', id: 1, method: 'no/such', params: {} });
    expect([posted.status, await posted.next()]).toMatchObject([404, { error: { code: -32601 } }]);
  });

  test('is refused when it asks for a log level that does not exist', async () => {
    const { client } = await setUp();
    const _meta = { 'io.modelcontextprotocol/logLevel': 'loud' };
    expect((await client.ask('echo', {}, { _meta })).error).toMatchObject({ code: -32602 });
  });

  test('keeps numbers beyond 2^53 as they were written', async () => {
    const { client } = await setUp({ mapResult: (result) => ({ text: JSON.stringify(result) }) });
    const { result } = await client.ask('longNumber');
    expect(result['text']).toBe('{"id":12345678901234567890,"resultType":"complete"}');
  });

  test('that its client leaves is cancelled at the upstream', async () => {
    const { client, face } = await setUp();
    const posted = client.call('progress', { steps: 1000, everyMs: 20 }, { _meta: { progressToken: 'p' } });
    await (await posted).next();
    (await posted).leave();
    expect((await face.ended(1))[0]?.status).toBe('canceled');
    await expect
      .poll(async () => (await receivedBy(client)).at(-2))
      .toMatchObject({ method: 'notifications/cancelled', params: { reason: 'the client disconnected' } });
  });

  test('fails when the upstream dies', async () => {
    const { client, face } = await setUp();
    expect((await client.ask('crash')).error).toMatchObject({ code: -32603, data: { reason: 'bad_gateway' } });
    expect((await face.ended(1))[0]?.status).toBe('upstream_error');
  });
});

describe('a question of a legacy upstream', () => {
  test('ends the response, and the retry with the answer goes on with the same call', async () => {
    const { client, ask, retry, face } = await setUp();
    const round = await ask({ ...FORM, question: 'Name?' });
    expect(round).toEqual({
      resultType: 'input_required',
      inputRequests: { input_1: { method: 'elicitation/create', params: { question: 'Name?' } } },
      requestState: expect.stringMatching(/^portcullis-input\./),
    });
    expect(await retry(round, ACCEPTED, { ...FORM, question: 'Name?' })).toEqual({
      jsonrpc: '2.0',
      id: 2,
      result: {
        asked: 'elicitation/create',
        reply: { jsonrpc: '2.0', id: 1, result: ACCEPTED },
        resultType: 'complete',
      },
    });
    const calls = (await receivedBy(client)).filter(({ method }) => method === 'tools/call');
    expect(calls).toHaveLength(2); // the call, and the one that asks what was received
    expect((await face.ended(2)).map(({ status }) => status).slice(0, 2)).toEqual(['input_required', 'ok']);
  });

  test('finds the call of its own client where two of one principal have the same id', async () => {
    const { ask, retry } = await setUp();
    const [first, second] = await Promise.all([ask({ askId: 'x', question: 1 }), ask({ askId: 'y', question: 2 })]);
    const [one, two] = await Promise.all([
      retry(first, { roots: ['first'] }, { askId: 'x', question: 1 }),
      retry(second, { roots: ['second'] }, { askId: 'y', question: 2 }),
    ]);
    expect([one.result['reply'], two.result['reply']]).toMatchObject([
      { id: 'x', result: { roots: ['first'] } },
      { id: 'y', result: { roots: ['second'] } },
    ]);
  });

  test('that was not answered is asked again', async () => {
    const { client, ask, retry } = await setUp();
    const round = await ask();
    const again = (await client.ask('ask', ROOTS, { requestState: round.requestState, inputResponses: { stray: {} } }))
      .result;
    expect(again).toMatchObject({ resultType: 'input_required', inputRequests: round.inputRequests });
    expect((await retry(round)).error).toEqual(LAPSED);
    expect((await retry(again)).result).toMatchObject({ resultType: 'complete' });
  });

  test('that was answered with what is no object is asked again', async () => {
    const { ask, retry } = await setUp();
    const round = await ask();
    expect((await retry(round, 'yes')).result).toMatchObject({ inputRequests: round.inputRequests });
  });

  test('keeps waiting when the answers are no object', async () => {
    const { client, ask, retry } = await setUp();
    const round = await ask();
    const broken = await client.ask('ask', ROOTS, { requestState: round.requestState, inputResponses: [] });
    expect(broken.error).toMatchObject({ code: -32602, message: expect.stringContaining('inputResponses') });
    expect((await retry(round)).result).toMatchObject({ resultType: 'complete' });
  });

  test.each([
    [{ roots: {} }, FORM, -32601],
    [{ elicitation: {} }, ROOTS, -32601],
    [{ elicitation: { url: {} } }, FORM, -32602],
    [{ tasks: {} }, { method: 'tasks/list' }, -32601],
  ])('is refused for a client with %j', async (capabilities, request, code) => {
    const { client } = await setUp({}, capabilities);
    const { result } = await client.ask('ask', { method: request.method });
    expect(result).toMatchObject({ resultType: 'complete', reply: { error: { code } } });
  });

  test('that the upstream takes back is not waited for', async () => {
    const { client } = await setUp();
    // The upstream's messages may come together or one by one.
    let { result } = await client.ask('askAndCancel', ROOTS);
    while (result.requestState !== undefined) {
      ({ result } = await client.ask('askAndCancel', ROOTS, { requestState: result.requestState }));
    }
    expect(result).toEqual({ resultType: 'complete' });
  });

  test('is of no use when the upstream dies meanwhile', async () => {
    const { client, ask, retry } = await setUp();
    const round = await ask();
    await client.ask('crash');
    expect((await retry(round)).error).toMatchObject({ data: { reason: 'bad_gateway' } });
    expect((await retry(round)).error).toEqual(LAPSED);
  });
});

describe('the state of a held call', () => {
  test('is good once', async () => {
    const { ask, retry } = await setUp();
    const round = await ask();
    expect((await retry(round)).result).toMatchObject({ resultType: 'complete' });
    expect((await retry(round)).error).toEqual(LAPSED);
  });

  test('is good once when it comes twice at the same time', async () => {
    const { ask, retry } = await setUp();
    const round = await ask();
    const both = await Promise.all([retry(round, { roots: [] }, {}, 2), retry(round, { roots: [] }, {}, 3)]);
    expect(both.filter(({ result }) => result?.['resultType'] === 'complete')).toHaveLength(1);
    expect(both.filter(({ error }) => error !== undefined).map(({ error }) => error)).toEqual([LAPSED]);
  });

  test('is bound to its principal, its tool and its arguments', async () => {
    const { face, client, ask, retry } = await setUp();
    const round = await ask();
    const given = answers(round, { roots: [] });
    expect((await modernClient(face, 'mallory').ask('ask', ROOTS, given)).error).toEqual(OTHER_CALL);
    expect((await client.ask('echo', ROOTS, given)).error).toEqual(OTHER_CALL);
    expect((await retry(round, {}, { question: 'another' })).error).toEqual(OTHER_CALL);
    expect((await client.ask('ask', ROOTS, { ...given, requestState: `${round.requestState}x` })).error).toEqual(
      LAPSED,
    );
    expect((await client.ask('ask', ROOTS, { ...given, requestState: 'portcullis-input.nonsense' })).error).toEqual(
      LAPSED,
    );
    expect((await client.ask('ask', ROOTS, { ...given, requestState: 'of another server' })).error).toEqual(LAPSED);
    expect((await retry(round)).result).toMatchObject({ resultType: 'complete' });
  });

  test('lapses when its client does not come back, and the upstream is told', async () => {
    const { client, ask, retry } = await setUp({ holdMs: 100 });
    const round = await ask();
    await expect
      .poll(async () => (await receivedBy(client)).map(({ method }) => method))
      .toContain('notifications/cancelled');
    expect((await retry(round)).error).toEqual(LAPSED);
  });

  test('lapses when the gateway stops, and the upstream is told', async () => {
    const { client, ask, face } = await setUp();
    await ask();
    face.beginStop();
    await expect
      .poll(async () => (await receivedBy(client)).map(({ method }) => method))
      .toContain('notifications/cancelled');
  });

  test('outlives the upstream’s time-out, which waits while the client thinks', async () => {
    const { face, client, ask, retry } = await setUp();
    await client.ask('echo'); // the process has started
    face.setUpstream(fake({ timeoutMs: 200 }));
    const round = await ask();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect((await retry(round)).result).toMatchObject({ resultType: 'complete' });
  });

  test('outlives the upstream’s time-out over HTTP as well', async () => {
    const { url, stop } = await serveLegacySdk();
    onTestFinished(stop);
    const upstream = upstreamOf({ kind: 'streamable_http', url }, { era: 'legacy', timeoutMs: 300 });
    const client = modernClient(await startFace({ upstream }));
    const { result } = await client.ask('roots');
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect((await client.ask('roots', {}, answers(result, { roots: [] }))).result).toMatchObject({
      content: [{ text: '{"roots":[]}' }],
    });
  });
});

describe('pages that a legacy upstream wants opened first', () => {
  const needPage = async (capabilities?: Json) => {
    const face = await startFace({ upstream: sdk() });
    return modernClient(face, 'alice', capabilities);
  };

  test('are asked for, and the client makes the call anew', async () => {
    const client = await needPage();
    const { result } = await client.ask('need_page');
    const page = { mode: 'url', message: 'Sign in', url: 'https://example.com/sign-in' };
    expect(result).toEqual({
      resultType: 'input_required',
      inputRequests: { portcullis_page_1: { method: 'elicitation/create', params: page } },
    });
    const again = await client.ask('need_page', {}, { inputResponses: { portcullis_page_1: { action: 'accept' } } });
    expect(again.result).toEqual(result);
  });

  test('and that the user will not open end the call', async () => {
    const client = await needPage();
    const { error } = await client.ask(
      'need_page',
      {},
      { inputResponses: { portcullis_page_1: { action: 'decline' } } },
    );
    expect(error).toMatchObject({ code: -32603, data: { reason: 'failed_precondition' } });
  });

  test('are an error for a client that cannot open them', async () => {
    const client = await needPage({ elicitation: {} });
    const posted = await client.call('need_page');
    expect([posted.status, await posted.next()]).toMatchObject([
      400,
      { error: { code: -32021, data: { requiredCapabilities: { elicitation: { url: {} } } } } },
    ]);
  });
});

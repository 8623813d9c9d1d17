import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import {
  ACCEPTED,
  type Answer,
  FORM,
  legacyClient,
  modernClient,
  ROOTS,
  receivedBy,
  scripted,
  startFace,
} from './bridge-setup.ts';
import { type Json, type Posted, send } from './mcp-client.ts';

const DONE = { resultType: 'complete', ttlMs: 5, cacheScope: 'public', content: [] };
const asking = <More extends Json>(inputRequests: Json, more?: More) => ({
  resultType: 'input_required',
  inputRequests,
  ...more,
});
const last = async (posted: Posted) => (await posted.rest()).at(-1) as Answer;

async function setUp(options: Omit<Parameters<typeof startFace>[0], 'upstream'> = {}, capabilities?: Json) {
  const face = await startFace({ upstream: scripted(), ...options });
  const client = await legacyClient(face, 'alice', capabilities);
  const script = (results: readonly Json[], more: Json = {}, meta?: Json) =>
    client.call('script', { key: 'k', results, ...more }, meta === undefined ? {} : { _meta: meta });
  return { face, client, script };
}

/** Params of each time that the upstream was called. */
const paramsOf = async (client: Parameters<typeof receivedBy>[0]) =>
  (await receivedBy(client)).filter(({ method }) => method === 'tools/call').map(({ params }) => params as Json);

describe('a legacy client’s request to a modern upstream', () => {
  test('is a modern request with the session’s capabilities, and has a result without what only the modern era knows', async () => {
    const { client } = await setUp({}, { elicitation: {}, roots: { listChanged: true }, tasks: { list: {} } });
    const _meta = { mine: 1, progressToken: 'p' };
    const stray = { requestState: 'stray', inputResponses: { stray: {} } };
    const answer = await last(
      await client.call('script', { key: 'k', results: [DONE] }, { _meta, ...stray, other: 2 }),
    );
    expect(answer).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [] } });
    expect(await paramsOf(client)).toEqual([
      {
        name: 'script',
        arguments: { key: 'k', results: [DONE] },
        other: 2,
        _meta: {
          mine: 1,
          progressToken: expect.any(Number),
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, roots: {} },
        },
      },
    ]);
  });

  test('asks for log messages once its session has set a level', async () => {
    const { client, script } = await setUp();
    await client.setLevel('notice');
    await script([DONE]);
    expect((await paramsOf(client))[0]?.['_meta']).toMatchObject({ 'io.modelcontextprotocol/logLevel': 'notice' });
  });

  test('gets structured content that is no object as one, with its text', async () => {
    const { script } = await setUp();
    const { result } = await last(await script([{ resultType: 'complete', content: [], structuredContent: [1, 2] }]));
    expect(result).toEqual({ content: [{ type: 'text', text: '[1,2]' }], structuredContent: { result: [1, 2] } });
  });

  test('keeps numbers beyond 2^53 as they were written, both ways', async () => {
    const { client, face } = await setUp();
    const { body } = await request(face.url, {
      method: 'POST',
      headers: {
        authorization: 'Bearer alice',
        'content-type': 'application/json',
        'mcp-session-id': client.caller.sessionId ?? '',
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"number","arguments":{"n":98765432109876543210}}}',
    });
    const text = await body.text();
    expect(text).toContain('{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890,');
    expect(text).toContain('98765432109876543210');
  });

  test('may have a result of two megabytes', async () => {
    const { script } = await setUp();
    const text = 'x'.repeat(2_000_000);
    const { result } = await last(await script([{ ...DONE, content: [{ type: 'text', text }] }]));
    expect((result['content'] as { text: string }[])[0]?.text).toBe(text);
  });

  test('fails when the result is of a type that it cannot know', async () => {
    const { script } = await setUp();
    const { error } = await last(await script([{ resultType: 'task', task: {} }]));
    expect(error).toMatchObject({ code: -32603, message: expect.stringContaining('"task"') });
  });

  test('sends nothing before the decision is recorded', async () => {
    const recording = Promise.withResolvers<void>();
    const befores = [recording.promise];
    const { client, script } = await setUp({ before: async () => befores.shift() });
    const order: string[] = [];
    const call = script([DONE], { progress: [1] }, { progressToken: 'p' });
    void call.then(() => order.push('answered'));
    await expect.poll(() => receivedBy(client)).toHaveLength(1);
    order.push('recorded');
    recording.resolve();
    expect(await (await call).rest()).toMatchObject([{ method: 'notifications/progress' }, { id: 1, result: {} }]);
    expect(order).toEqual(['recorded', 'answered']);
  });

  test('has the failure to record its decision in place of the answer', async () => {
    const { script } = await setUp({ before: () => Promise.reject(new Error('the disk is full')) });
    const messages = await (await script([DONE], { progress: [1] }, { progressToken: 'p' })).rest();
    const error = { code: -32603, message: expect.stringContaining('its log tells why') };
    expect(messages).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
  });
});

describe('input that a modern upstream requires', () => {
  test('is asked of the legacy client on the open response, and goes back with the state', async () => {
    const { client, script, face } = await setUp();
    const posted = await script([asking({ who: FORM, where: ROOTS }, { requestState: 'state-1' }), DONE]);
    const [first, second] = [await posted.next(), await posted.next()];
    expect(first).toMatchObject({ jsonrpc: '2.0', ...FORM });
    expect(second).toEqual({ jsonrpc: '2.0', id: expect.stringMatching(/^portcullis-input\..{100}/), ...ROOTS });
    expect(await client.answer(second, { result: { roots: [] } })).toBe(202);
    expect(await client.answer(first, { result: ACCEPTED })).toBe(202);
    expect((await last(posted)).result).toEqual({ content: [] });
    expect((await paramsOf(client))[1]).toMatchObject({
      requestState: 'state-1',
      inputResponses: { who: ACCEPTED, where: { roots: [] } },
    });
    expect((await face.ended(1))[0]?.status).toBe('ok');
  });

  test('is answered with the numbers as the client wrote them', async () => {
    const { client, script } = await setUp();
    const posted = await script([asking({ where: ROOTS }), DONE]);
    const asked = await posted.next();
    const body = `{"jsonrpc":"2.0","id":${JSON.stringify(asked?.['id'])},"result":{"roots":[],"n":98765432109876543210}}`;
    expect((await send(client.caller, body, {})).status).toBe(202);
    await posted.rest();
    expect((await last(await client.call('number'))).result['lines']).toContain('"n":98765432109876543210');
  });

  test('without a state is answered without one', async () => {
    const { client, script } = await setUp();
    const posted = await script([asking({ where: ROOTS }), DONE]);
    await client.answer(await posted.next(), { result: { roots: [] } });
    await posted.rest();
    expect(Object.keys((await paramsOf(client))[1] ?? {}).toSorted()).toEqual([
      '_meta',
      'arguments',
      'inputResponses',
      'name',
    ]);
  });

  test('is answered by the session that was asked only', async () => {
    const { client, script, face } = await setUp();
    const [mallory, other] = [await legacyClient(face, 'mallory'), await legacyClient(face, 'alice')];
    const posted = await script([asking({ where: ROOTS }), DONE]);
    const asked = await posted.next();
    expect(await mallory.answer(asked, { result: { roots: [{ uri: 'file:///evil' }] } })).toBe(404);
    expect(await other.answer(asked, { result: { roots: [{ uri: 'file:///evil' }] } })).toBe(404);
    expect(await client.answer({ id: 'guessed' }, { result: {} })).toBe(404);
    expect(await client.answer(asked, { result: { roots: [] } })).toBe(202);
    expect(await client.answer(asked, { result: { roots: [{ uri: 'file:///late' }] } })).toBe(202);
    await posted.rest();
    expect((await paramsOf(client))[1]?.['inputResponses']).toEqual({ where: { roots: [] } });
  });

  test('that is a state only makes the gateway repeat the request by itself', async () => {
    const { client, script } = await setUp();
    const again = { resultType: 'input_required', requestState: 'later' };
    expect(await last(await script([again, again, DONE]))).toMatchObject({ id: 1, result: { content: [] } });
    expect((await paramsOf(client)).map(({ requestState }) => requestState)).toEqual([undefined, 'later', 'later']);
  });

  test('again and again ends after 16 rounds', async () => {
    const { client, script } = await setUp();
    const posted = await script([asking({ where: ROOTS })]);
    let message = await posted.next();
    let rounds = 0;
    for (; message?.['method'] === 'roots/list'; message = await posted.next()) {
      rounds++;
      await client.answer(message, { result: { roots: [] } });
    }
    expect(rounds).toBe(15);
    expect(message).toMatchObject({ error: { code: -32603, message: expect.stringContaining('after 16 rounds') } });
  });

  test.each([
    ['nothing', { resultType: 'input_required' }],
    ['a list', asking([FORM] as unknown as Json)],
    ['a state that is no text', { resultType: 'input_required', requestState: 7 }],
    ['a method that clients do not have', asking({ x: { method: 'tools/list' } })],
    ['a request without a method', asking({ x: {} })],
    ['parameters that are no object', asking({ x: { ...ROOTS, params: [] } })],
    ['more than a hundred things', asking(Object.fromEntries(Array.from({ length: 101 }, (_, n) => [n, ROOTS])))],
  ])('that is %s is an error of the upstream', async (_what, result) => {
    const { script, face } = await setUp();
    const messages = await (await script([result])).rest();
    expect(messages).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        error: { code: -32603, message: expect.stringContaining('does not know'), data: { reason: 'bad_gateway' } },
      },
    ]);
    expect((await face.ended(1))[0]?.status).toBe('upstream_error');
  });

  test.each<[Json, Json, string]>([
    [{ sampling: {} }, FORM, 'elicitation.form'],
    [{ elicitation: { url: {} } }, FORM, 'elicitation.form'],
    [
      { elicitation: {} },
      { ...FORM, params: { mode: 'url', url: 'https://example.com', message: '' } },
      'elicitation.url',
    ],
    [{ elicitation: {} }, ROOTS, 'roots'],
    [{ sampling: {} }, { method: 'sampling/createMessage', params: { tools: [] } }, 'sampling.tools'],
  ])('beyond %j ends the call, and nothing is asked', async (capabilities, request, lacking) => {
    const { script, face } = await setUp({}, capabilities);
    const messages = await (await script([asking({ x: request })])).rest();
    expect((await face.ended(1))[0]?.status).toBe('rpc_error');
    expect(messages).toMatchObject([{ id: 1, error: { message: expect.stringContaining(`support: ${lacking}.`) } }]);
  });

  test('that the client answers with an error ends the call, and takes back what else was asked', async () => {
    const { client, script } = await setUp();
    const posted = await script([asking({ who: FORM, where: ROOTS })]);
    const [first, second] = [await posted.next(), await posted.next()];
    await client.answer(second, { error: { code: -1, message: 'User rejected' } });
    expect(await posted.rest()).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: first?.['id'] } },
      { id: 1, error: { code: -32603, message: expect.stringContaining('got no answer: User rejected') } },
    ]);
  });

  test('that nobody answers ends the call', async () => {
    const { script } = await setUp({ holdMs: 50 });
    const { error } = await last(await script([asking({ where: ROOTS })]));
    expect(error.message).toContain('nobody answered in time');
  });

  test('is not waited for when the client goes away', async () => {
    const { script, client, face } = await setUp();
    const posted = await script([asking({ where: ROOTS }), DONE]);
    const asked = await posted.next();
    posted.leave();
    expect((await face.ended(1))[0]?.status).toBe('canceled');
    expect(await client.answer(asked, { result: { roots: [] } })).toBe(202);
    expect(await paramsOf(client)).toHaveLength(1);
  });

  test('is not waited for when the client cancels its request, which then has no answer', async () => {
    const { script, client, face } = await setUp();
    const posted = await script([asking({ where: ROOTS }), DONE]);
    const asked = await posted.next();
    expect(await client.notify('notifications/cancelled', { requestId: 2 })).toBe(404);
    expect(await client.notify('notifications/cancelled', { requestId: 1 })).toBe(202);
    expect(await posted.rest()).toEqual([
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: asked?.['id'] } },
    ]);
    expect((await face.ended(1))[0]?.status).toBe('canceled');
  });

  test('is not waited for when the gateway stops', async () => {
    const { script, face } = await setUp();
    const posted = await script([asking({ where: ROOTS }), DONE]);
    await posted.next();
    face.beginStop();
    expect((await last(posted)).error).toMatchObject({ data: { reason: 'unavailable' } });
  });

  test('is of no use when the upstream dies before it gets it', async () => {
    const { client, script, face } = await setUp();
    const posted = await script([asking({ where: ROOTS })], { crashAt: 1 });
    await client.answer(await posted.next(), { result: { roots: [] } });
    expect((await last(posted)).error).toMatchObject({ data: { reason: 'bad_gateway' } });
    expect((await face.ended(1))[0]?.status).toBe('upstream_error');
  });

  test('may be a page, which the client is told to be done with when the answer comes', async () => {
    const { client, script } = await setUp();
    const page = { method: 'elicitation/create', params: { mode: 'url', url: 'https://example.com', message: 'Go' } };
    const posted = await script([asking({ page }), DONE]);
    const asked = (await posted.next()) as { params: { elicitationId: string } };
    expect(asked.params).toEqual({ ...page.params, elicitationId: expect.any(String) });
    await client.answer(asked, { result: { action: 'accept' } });
    const { elicitationId } = asked.params;
    expect(await posted.rest()).toMatchObject([
      { method: 'notifications/elicitation/complete', params: { elicitationId } },
      { id: 1 },
    ]);
  });

  test.each(['token', 7])(
    'lets progress rise from round to round, under the client’s token %j',
    async (progressToken) => {
      const { client, script } = await setUp();
      const posted = await script([asking({ where: ROOTS }), DONE], { progress: [1, 4] }, { progressToken });
      const heard: unknown[] = [];
      for (let message = await posted.next(); message !== undefined; message = await posted.next()) {
        if (message['method'] === 'roots/list') await client.answer(message, { result: { roots: [] } });
        if (message['method'] === 'notifications/progress') heard.push(message['params']);
      }
      expect(heard).toEqual([
        { progressToken, progress: 1, total: 10 },
        { progressToken, progress: 4, total: 10 },
        { progressToken, progress: 5, total: 14 },
        { progressToken, progress: 8, total: 14 },
      ]);
    },
  );
});

test('two requests of one session with the same id get their own answers', async () => {
  const { client } = await setUp();
  const text = (value: string) => ({ ...DONE, content: [{ type: 'text', text: value }] });
  const [a, b] = await Promise.all(
    ['a', 'b'].map(async (key) => last(await client.call('script', { key, results: [text(key)] }))),
  );
  expect([a?.result['content'], b?.result['content']]).toEqual([
    [{ type: 'text', text: 'a' }],
    [{ type: 'text', text: 'b' }],
  ]);
});

describe('a modern client’s request to a modern upstream', () => {
  test('passes as it is, with a state that looks like the gateway’s own, and so does its answer', async () => {
    const face = await startFace({ upstream: scripted() });
    const client = modernClient(face);
    const result = asking({ x: ROOTS }, { requestState: 'portcullis-input.of-another-gateway', other: 1 });
    expect((await client.ask('script', { key: 'k', results: [result] })).result).toEqual(result);
    const retry = { requestState: 'portcullis-input.of-another-gateway', inputResponses: { x: {} } };
    expect((await client.ask('script', { key: 'k', results: [result] }, retry)).result).toEqual(result);
    const [first, second] = await paramsOf(client);
    expect(second).toEqual({ ...first, ...retry });
    expect((await face.ended(2)).map(({ status }) => status).slice(0, 2)).toEqual(['input_required', 'input_required']);
  });

  test('is cancelled at the upstream when its client leaves', async () => {
    const face = await startFace({ upstream: scripted() });
    const client = modernClient(face);
    const posted = await client.call('hang', { progress: 1 }, { _meta: { progressToken: 'p' } });
    await posted.next();
    posted.leave();
    expect((await face.ended(1))[0]?.status).toBe('canceled');
    await expect
      .poll(() => receivedBy(client))
      .toContainEqual(expect.objectContaining({ method: 'notifications/cancelled' }));
  });
});

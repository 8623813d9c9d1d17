import { describe, expect, test } from 'vitest';
import { fakeUpstream } from '../upstream/stdio.ts';
import { ACCEPTED, type Answer, FORM, legacyClient, ROOTS, receivedBy, startFace } from './bridge-setup.ts';
import { type Json, type Posted, post } from './mcp-client.ts';

const last = async (posted: Posted) => (await posted.rest()).at(-1) as Answer;

async function setUp(options: Partial<Parameters<typeof startFace>[0]> = {}, capabilities?: Json) {
  const face = await startFace({ upstream: fakeUpstream({}, { era: 'legacy', timeoutMs: 20_000 }), ...options });
  return { face, client: await legacyClient(face, 'alice', capabilities) };
}

describe('what a legacy upstream asks a legacy client', () => {
  test('comes on the response of the call under an id that cannot be guessed, and the answer goes back', async () => {
    const { client } = await setUp();
    const posted = await client.call('ask', { ...FORM, askId: 7, question: 'Name?' });
    const asked = await posted.next();
    expect(asked).toEqual({
      jsonrpc: '2.0',
      id: expect.stringMatching(/^portcullis-input\..{100}/),
      method: 'elicitation/create',
      params: { question: 'Name?' },
    });
    expect(await client.answer(asked, { result: ACCEPTED })).toBe(202);
    expect((await last(posted)).result['reply']).toEqual({ jsonrpc: '2.0', id: 7, result: ACCEPTED });
  });

  test('may be answered with an error', async () => {
    const { client } = await setUp();
    const posted = await client.call('ask', ROOTS);
    await client.answer(await posted.next(), { error: { code: -1, message: 'no' } });
    expect((await last(posted)).result['reply']).toMatchObject({ error: { code: -1, message: 'no' } });
  });

  test('is answered by the session that was asked only', async () => {
    const { client, face } = await setUp();
    const others = [await legacyClient(face, 'mallory'), await legacyClient(face, 'alice')];
    const posted = await client.call('ask', ROOTS);
    const asked = await posted.next();
    for (const other of others) {
      expect(await other.answer(asked, { result: { roots: ['evil'] } })).toBe(404);
    }
    const thief = { ...client.caller, key: 'mallory' };
    expect((await post(thief, { jsonrpc: '2.0', id: asked?.['id'], result: { roots: ['evil'] } })).status).toBe(404);
    await client.answer(asked, { result: { roots: [] } });
    expect((await last(posted)).result['reply']).toMatchObject({ result: { roots: [] } });
  });

  test('is refused when nobody answers in time, and the upstream goes on', async () => {
    const { client } = await setUp({ holdMs: 50 });
    const posted = await client.call('ask', ROOTS);
    const asked = await posted.next();
    const error = { code: -32603, message: 'the client did not answer in time' };
    expect((await last(posted)).result['reply']).toMatchObject({ error });
    expect(await client.answer(asked, { result: { roots: [] } })).toBe(202);
  });

  test('is taken back under the id that the client knows', async () => {
    const { client } = await setUp();
    const messages = await (await client.call('askAndCancel', ROOTS)).rest();
    const [asked] = messages;
    expect(messages).toMatchObject([
      { method: 'roots/list' },
      { method: 'notifications/cancelled', params: { requestId: asked?.['id'], reason: 'never mind' } },
      { id: 1, result: {} },
    ]);
  });

  test.each([
    [{}, ROOTS, -32601],
    [{ elicitation: { url: {} } }, FORM, -32602],
  ])('is refused for a client with %j', async (capabilities, { method }, code) => {
    const { client } = await setUp({}, capabilities);
    expect((await last(await client.call('ask', { method }))).result['reply']).toMatchObject({ error: { code } });
  });

  test('is refused when the client goes away', async () => {
    const { client, face } = await setUp();
    const posted = await client.call('ask', ROOTS);
    await posted.next();
    posted.leave();
    expect((await face.ended(1))[0]?.status).toBe('canceled');
    await expect
      .poll(async () =>
        (await receivedBy(client)).filter(({ error, method }) => error ?? method === 'notifications/cancelled'),
      )
      .toMatchObject([{ method: 'notifications/cancelled' }, { error: { code: -32603 } }]);
  });
});

describe('a legacy client’s call', () => {
  test('that it cancels has no answer, and the upstream is told', async () => {
    const { client, face } = await setUp();
    const posted = await client.call('progress', { steps: 1000, everyMs: 20 }, { _meta: { progressToken: 'p' } }, 'x');
    expect(await posted.next()).toMatchObject({ params: { progressToken: 'p', progress: 1 } });
    expect(await client.notify('notifications/cancelled', { requestId: 'x' })).toBe(202);
    expect((await posted.rest()).filter(({ method }) => method !== 'notifications/progress')).toEqual([]);
    expect((await face.ended(1))[0]?.status).toBe('canceled');
    const methods = (await receivedBy(client)).map(({ method }) => method);
    expect(methods).toContain('notifications/cancelled');
  });

  test('is cancelled by its own session only', async () => {
    const { client, face } = await setUp();
    const other = await legacyClient(face, 'alice');
    const posted = await client.call('ask', ROOTS);
    const asked = await posted.next();
    expect(await other.notify('notifications/cancelled', { requestId: 1 })).toBe(404);
    await client.answer(asked, { result: {} });
    expect(await last(posted)).toMatchObject({ id: 1, result: {} });
  });

  test('fails when the upstream dies', async () => {
    const { client, face } = await setUp();
    expect((await last(await client.call('crash'))).error).toMatchObject({ data: { reason: 'bad_gateway' } });
    expect((await face.ended(1))[0]?.status).toBe('upstream_error');
  });

  test('hears log messages of the level that its session set, and above', async () => {
    const { client } = await setUp();
    const log = (level: string) =>
      client.call('notify', { message: { method: 'notifications/message', params: { level } } });
    const levels = async (posted: Posted) =>
      (await posted.rest()).flatMap(({ params }) => (params === undefined ? [] : [(params as Json)['level']]));
    expect(await levels(await log('debug'))).toEqual(['debug']);
    await client.setLevel('warning');
    expect(await levels(await log('notice'))).toEqual([]);
    expect(await levels(await log('warning'))).toEqual(['warning']);
    expect(await levels(await log('emergency'))).toEqual(['emergency']);
  });

  test('has its result changed as the caller of the bridge wants', async () => {
    const { client } = await setUp({ mapResult: (result) => ({ was: result }) });
    expect((await last(await client.call('echo', { a: 1 }))).result).toEqual({ was: { a: 1 } });
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import { type Listening, upstreamOf } from '../upstream/fixtures.ts';
import type { BridgeFace } from './bridge-face.ts';
import { type Answer, legacyClient, modernClient, ROOTS, startFace } from './bridge-setup.ts';
import { serveLegacySdk } from './bridge-upstreams/legacy-sdk.ts';
import { post } from './mcp-client.ts';

let served: Listening | undefined;

afterEach(() => served?.stop());

/** Two replicas of one gateway; each text between them arrives in a later turn of the event loop. */
async function setUp() {
  const faces = new Map<string, BridgeFace>();
  const relay = async (replicaId: string, body: string) => {
    await new Promise((resolve) => setImmediate(resolve));
    return faces.get(replicaId)?.bridge.takeRelayed(body) === true;
  };
  served = await serveLegacySdk();
  const upstream = upstreamOf({ kind: 'streamable_http', url: served.url }, { era: 'legacy' });
  const one = await startFace({ upstream, relay, replicaId: 'one' });
  const two = await startFace({ upstream, relay, replicaId: 'two', replicaOf: one });
  faces.set('one', one).set('two', two);
  return { one, two, faces };
}

const textOf = ({ result }: Answer) => JSON.parse((result['content'] as { text: string }[])[0]?.text ?? '') as unknown;
const HOME = { roots: [{ uri: 'file:///home' }] };
const answersTo = ({ result }: Answer, more: object = {}) => ({
  requestState: result.requestState,
  inputResponses: { input_1: HOME },
  ...more,
});

describe('on another replica', () => {
  test('a legacy client’s answer finds the call that waits for it', async () => {
    const { one, two } = await setUp();
    const client = await legacyClient(one);
    const posted = await client.call('roots');
    const asked = await posted.next();
    const elsewhere = { ...client.caller, url: two.url };
    expect((await post(elsewhere, { jsonrpc: '2.0', id: asked?.['id'], result: HOME })).status).toBe(202);
    expect(textOf((await posted.rest()).at(-1) as Answer)).toEqual(HOME);
  });

  test('a modern client’s retry goes on with the call that is held, once', async () => {
    const { one, two } = await setUp();
    const first = await modernClient(one).ask('roots');
    const { requestState } = first.result;
    const again = await modernClient(two).ask('roots', {}, { requestState, inputResponses: {} });
    expect(again.result).toMatchObject({ resultType: 'input_required', inputRequests: { input_1: ROOTS } });
    const end = await modernClient(two).ask('roots', {}, answersTo(again), 9);
    expect([end.id, textOf(end)]).toEqual([9, HOME]);
    expect((await two.ended(2)).map(({ status }) => status)).toEqual(['input_required', 'ok']);
    const late = await modernClient(two).ask('roots', {}, answersTo(again));
    expect(late.error).toMatchObject({ code: -32602, message: expect.stringContaining('has lapsed') });
  });

  test('a modern client hears the progress of the call that is held, and cancels it by leaving', async () => {
    const { one, two } = await setUp();
    const client = modernClient(one);
    const before = Number(textOf(await client.ask('cancelled')));
    const first = await client.ask('ask_and_hang', {}, { _meta: { progressToken: 'first' } });
    const retry = answersTo(first, { _meta: { progressToken: 'second' } });
    const posted = await modernClient(two).call('ask_and_hang', {}, retry);
    expect(await posted.next()).toMatchObject({ params: { progressToken: 'second', progress: 1 } });
    posted.leave();
    expect((await two.ended(1))[0]?.status).toBe('canceled');
    await expect.poll(async () => textOf(await client.ask('cancelled'))).toBe(before + 1);
  });

  test('a retry lapses when the replica that held the call is not there any more', async () => {
    const { one, two, faces } = await setUp();
    const first = await modernClient(one).ask('roots');
    faces.delete('one');
    const { error } = await modernClient(two).ask('roots', {}, answersTo(first));
    expect(error).toMatchObject({ code: -32602, message: expect.stringContaining('has lapsed') });
  });

  test('a text that is not for the bridge is left to others', async () => {
    const { one } = await setUp();
    expect(one.bridge.takeRelayed('{"kind":"answer","questionId":"1"}')).toBe(false);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { type BridgeClient, type ClientOptions, clientKinds } from './bridge-clients.ts';
import { type BridgeFace, startBridgeFace } from './bridge-face.ts';
import { LEGACY_SDK_PROGRAM, serveLegacySdk } from './bridge-upstreams/legacy-sdk.ts';
import { MODERN_SDK_PROGRAM, serveModernSdk } from './bridge-upstreams/modern-sdk.ts';

async function program(path: string, changes: Partial<Upstream>) {
  const stdio = { sharing: 'per_principal', maxProcesses: 4, idleTimeoutMs: 60_000 } as const;
  const upstream = upstreamOf(
    { kind: 'stdio', command: process.execPath, args: [path], ...stdio },
    { timeoutMs: 20_000, ...changes },
  );
  return { upstream, stop: async () => {} };
}

async function served(serve: typeof serveModernSdk, changes: Partial<Upstream>) {
  const { url, stop } = await serve();
  return { upstream: upstreamOf({ kind: 'streamable_http', url }, changes), stop };
}

const upstreamKinds = [
  { to: 'SDK 1.x over stdio', upstreamEra: 'legacy', start: () => program(LEGACY_SDK_PROGRAM, { era: 'legacy' }) },
  { to: 'SDK 1.x over HTTP', upstreamEra: 'legacy', start: () => served(serveLegacySdk, { era: 'legacy' }) },
  { to: 'SDK 2.x over stdio', upstreamEra: 'modern', start: () => program(MODERN_SDK_PROGRAM, { era: 'modern' }) },
  { to: 'SDK 2.x over HTTP', upstreamEra: 'modern', start: () => served(serveModernSdk, { era: 'modern' }) },
] as const;

const pairs = clientKinds.flatMap((client) => upstreamKinds.map((upstream) => ({ ...client, ...upstream })));

describe.each(pairs)('$name to $to', ({ era, upstreamEra, connect, start }) => {
  let face: BridgeFace;
  let stopUpstream: () => Promise<unknown>;
  const clients: BridgeClient[] = [];

  beforeAll(async () => {
    const { upstream, stop } = await start();
    stopUpstream = stop;
    face = await startBridgeFace({ upstream });
  });

  afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())));

  afterAll(async () => {
    await face.stop();
    await stopUpstream();
  });

  async function setUp(options?: ClientOptions): Promise<BridgeClient> {
    const client = await connect(face.url, 'alice', options);
    clients.push(client);
    face.ends.splice(0);
    return client;
  }

  const statuses = async (count: number) => (await face.ended(count)).map(({ status }) => status);

  test('a form is filled in', async () => {
    const client = await setUp();
    expect(await client.call('ask_name')).toEqual({ action: 'accept', content: { name: 'Ann' } });
    expect(client.asked).toEqual(['elicitation/create form']);
    expect(await statuses(1)).toEqual(era === 'modern' ? ['input_required', 'ok'] : ['ok']);
  });

  test('a form is declined', async () => {
    const client = await setUp({ action: 'decline' });
    expect(await client.call('ask_name')).toEqual({ action: 'decline' });
  });

  test('a page is opened', async () => {
    const client = await setUp();
    expect(await client.call('ask_page')).toEqual({ action: 'accept' });
    expect(client.asked).toEqual(['elicitation/create url']);
  });

  test('a completion is sampled', async () => {
    const client = await setUp();
    expect(await client.call('sample')).toMatchObject({ role: 'assistant', content: { type: 'text', text: 'Paris' } });
    expect(client.asked).toEqual(['sampling/createMessage']);
  });

  test('roots are listed', async () => {
    const client = await setUp();
    expect(await client.call('roots')).toEqual({ roots: [{ uri: 'file:///home' }] });
    expect(client.asked).toEqual(['roots/list']);
  });

  test('two questions are asked at once', async () => {
    const client = await setUp();
    expect(await client.call('ask_both')).toEqual([
      { action: 'accept', content: { name: 'Ann' } },
      { roots: [{ uri: 'file:///home' }] },
    ]);
    expect(client.asked.toSorted()).toEqual(['elicitation/create form', 'roots/list']);
  });

  test('a second question follows the answer to the first', async () => {
    const client = await setUp();
    const answer = { action: 'accept', content: { name: 'Ann' } };
    expect(await client.call('ask_twice')).toEqual([answer, answer]);
    expect(client.asked).toEqual(['elicitation/create form', 'elicitation/create form']);
  });

  test('nothing is asked that the client cannot do', async () => {
    const client = await setUp({ capabilities: { sampling: {} } });
    const answer = (await client.call('ask_name')) as { isError?: boolean; code?: number };
    expect(answer.isError === true || typeof answer.code === 'number').toBe(true);
    expect(client.asked).toEqual([]);
  });

  test('log messages come from the level on that the client asked for', async () => {
    const client = await setUp();
    await client.call('log', { logLevel: 'warning' });
    expect(client.logs).toEqual(['warning', 'error']);
  });

  test('progress comes with the call', async () => {
    const client = await setUp();
    const progress: number[] = [];
    expect(await client.call('progress', { onProgress: (step) => void progress.push(step) })).toBe('done');
    expect(progress).toEqual([1, 2, 3]);
  });

  test('a call that is cancelled is cancelled at the upstream', async () => {
    const client = await setUp();
    const cancel = new AbortController();
    const before = Number(await client.call('cancelled'));
    const call = client.call('hang', { signal: cancel.signal, onProgress: () => cancel.abort() });
    expect(await call).toMatchObject({ message: expect.stringMatching(/abort/i) });
    expect(await statuses(2)).toEqual(['ok', 'canceled']);
    await expect.poll(() => client.call('cancelled')).toBe(before + 1);
  });

  test('results, tool errors, resources and prompts come as the client’s era has them', async () => {
    const client = await setUp();
    expect(await client.call('fail')).toEqual({ isError: true, text: '"it broke"' });
    expect((await client.result('structured'))['structuredContent']).toEqual({ n: 1 });
    expect(await client.read('note://1')).toMatchObject({ contents: [{ uri: 'note://1', text: 'a note' }] });
    expect(await client.prompt('greet')).toMatchObject({ messages: [{ role: 'user' }] });
    const missing = era === 'legacy' && upstreamEra === 'legacy' ? -32002 : -32602;
    expect(await client.read('note://2')).toMatchObject({ code: missing });
  });
});

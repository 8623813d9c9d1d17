import { afterEach, describe, expect, test, vi } from 'vitest';
import { findLacking, toLegacyCapabilities, toModernCapabilities } from '../../src/mcp/bridge/client-capabilities.ts';
import { HeldExchange, type Round } from '../../src/mcp/bridge/held-exchange.ts';
import { createHeldExchanges } from '../../src/mcp/bridge/held-exchanges.ts';
import { createLogLevels } from '../../src/mcp/bridge/log-levels.ts';
import { createRelay } from '../../src/mcp/bridge/relay.ts';
import { createRemoteRounds } from '../../src/mcp/bridge/remote-rounds.ts';
import { fromLegacyError, toInputRequest } from '../../src/mcp/bridge/to-legacy-upstream.ts';
import { toLegacyTool } from '../../src/mcp/bridge/to-modern-upstream.ts';
import { createTokens } from '../../src/mcp/bridge/tokens.ts';
import { createUpstreamLogLevels } from '../../src/mcp/bridge/upstream-log-levels.ts';
import type { Channel, ChannelRequestOptions } from '../../src/upstream/channels.ts';
import { ROOTS } from './bridge-setup.ts';
import type { Json } from './mcp-client.ts';

afterEach(() => void vi.useRealTimers());

describe('client capabilities', () => {
  test('lose what the other era does not have', () => {
    const extensions = { 'io.modelcontextprotocol/tasks': {}, 'io.modelcontextprotocol/ui': { mimeTypes: [] } };
    const same = { elicitation: {}, sampling: { tools: {} }, experimental: { x: {} } };
    const ui = { extensions: { 'io.modelcontextprotocol/ui': { mimeTypes: [] } } };
    expect(toModernCapabilities({ ...same, extensions, tasks: {}, roots: { listChanged: true } })).toEqual({
      ...same,
      ...ui,
      roots: {},
    });
    expect(toLegacyCapabilities({ ...same, extensions, roots: {} })).toEqual({ ...same, ...ui, roots: {} });
    expect(toLegacyCapabilities({ extensions: { 'io.modelcontextprotocol/tasks': {} } })).toEqual({});
    expect([toModernCapabilities(undefined), toLegacyCapabilities('all')]).toEqual([{}, {}]);
  });

  test.each([
    [{ elicitation: {} }, 'elicitation/create', {}, undefined],
    [{ elicitation: { form: {} } }, 'elicitation/create', { mode: 'form' }, undefined],
    [{ elicitation: { url: {} } }, 'elicitation/create', { mode: 'form' }, { elicitation: { form: {} } }],
    [{ elicitation: { url: {} } }, 'elicitation/create', { mode: 'url' }, undefined],
    [{ elicitation: {} }, 'elicitation/create', { mode: 'url' }, { elicitation: { url: {} } }],
    [{ elicitation: {} }, 'elicitation/create', { mode: 'voice' }, { elicitation: { voice: {} } }],
    [{}, 'elicitation/create', {}, { elicitation: { form: {} } }],
    [{ sampling: {} }, 'sampling/createMessage', {}, undefined],
    [{ sampling: {} }, 'sampling/createMessage', { toolChoice: {} }, { sampling: { tools: {} } }],
    [{ sampling: { tools: {} } }, 'sampling/createMessage', { tools: [] }, undefined],
    [{ roots: {} }, 'sampling/createMessage', {}, { sampling: {} }],
    [{ roots: {} }, 'roots/list', {}, undefined],
    [{ roots: true }, 'roots/list', {}, { roots: {} }],
  ])('%j: %s %j lacks %j', (capabilities, method, params, lacking) => {
    expect(findLacking(capabilities, method, params)).toEqual(lacking);
  });
});

describe('translations', () => {
  test.each([
    [-32002, -32602],
    [-32042, -32603],
    [-32050, -32603],
    [-32019, -32019],
    [-32000, -32000],
    [7, 7],
  ])('the error %i of a legacy upstream is %i to a modern client', (code, expected) => {
    expect(fromLegacyError({ code, message: 'no', data: 1 })).toEqual({ code: expected, message: 'no', data: 1 });
  });

  test('an error that is none has a code and a message', () => {
    expect(fromLegacyError('no')).toEqual({ code: -32603, message: 'The upstream told no reason.' });
  });

  test('a request of a legacy upstream loses its id, its tokens and its task', () => {
    const params = { mode: 'url', url: 'u', message: 'm', elicitationId: 'e', task: {}, _meta: { progressToken: 1 } };
    expect(toInputRequest({ jsonrpc: '2.0', id: 1, method: 'elicitation/create', params })).toEqual({
      method: 'elicitation/create',
      params: { mode: 'url', url: 'u', message: 'm' },
    });
    expect(toInputRequest({ jsonrpc: '2.0', id: 1, ...ROOTS })).toEqual(ROOTS);
  });

  test('a modern tool whose result is no object has no schema of it for a legacy client', () => {
    const tool = { name: 't', inputSchema: { type: 'object' } };
    expect(toLegacyTool({ ...tool, outputSchema: { type: 'array' } })).toEqual(tool);
    expect(toLegacyTool({ ...tool, outputSchema: { type: 'object' } })).toEqual({
      ...tool,
      outputSchema: { type: 'object' },
    });
    expect(toLegacyTool(tool)).toEqual(tool);
  });
});

/** A channel that remembers what it was sent, and lets the test speak for the upstream. */
function channelOf(answer: (message: Json) => Promise<Json> = () => new Promise<Json>(() => {}), logging = {}) {
  const sent: Json[] = [];
  const options: ChannelRequestOptions[] = [];
  const channel: Channel = {
    era: 'legacy',
    initializeResult: { capabilities: { logging } },
    request(message, given) {
      sent.push(message);
      options.push(given);
      return answer(message);
    },
    notify: () => {},
    respond(_client, message) {
      sent.push(message);
      return true;
    },
    attach: () => () => {},
  };
  return { channel, sent, options };
}

describe('calls that wait for their clients', () => {
  const CLIENT = { principalId: 'alice', sessionId: 's' };
  const ROUND: Round = { send: () => {}, signal: new AbortController().signal };

  function heldOf() {
    const tokens = createTokens({ seal: async (text) => text, open: async (text) => text });
    const stopping = new AbortController().signal;
    return createHeldExchanges({ tokens, replicaId: 'one', holdMs: 60_000, stopping, now: Date.now });
  }

  /** A call of a principal whose upstream asks something at once. */
  async function wait(held: ReturnType<typeof heldOf>, principalId: string) {
    const { channel, sent, options } = channelOf();
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call' };
    const exchange = new HeldExchange({
      channel,
      client: CLIENT,
      capabilities: { roots: {} },
      message,
      options: {},
      mayAsk: true,
    });
    const end = held.run(exchange, () => ({ principalId, request: 'r' }), ROUND);
    options[0]?.onMessage({ jsonrpc: '2.0', id: 'q', ...ROOTS });
    await end;
    return { exchange, sent, signal: options[0]?.signal };
  }

  test('are at most 100 of one principal: the one that waits longest is given up', async () => {
    const held = heldOf();
    const bob = await wait(held, 'bob');
    const [first, second] = [await wait(held, 'alice'), await wait(held, 'alice')];
    for (let n = 2; n < 100; n++) {
      await wait(held, 'alice');
    }
    expect(first.signal?.aborted).toBe(false);
    await wait(held, 'alice');
    expect([bob, first, second].map(({ signal }) => signal?.aborted)).toEqual([false, true, false]);
  });

  test('are not asked anything in answer to a method that has no rounds', () => {
    const { channel, sent, options } = channelOf();
    const message = { jsonrpc: '2.0', id: 1, method: 'completion/complete' };
    const capabilities = { roots: {} };
    const exchange = new HeldExchange({ channel, client: CLIENT, capabilities, message, options: {}, mayAsk: false });
    void exchange.run(ROUND);
    options[0]?.onMessage({ jsonrpc: '2.0', id: 'q', ...ROOTS });
    expect(sent.at(-1)).toMatchObject({ id: 'q', error: { code: -32601 } });
  });

  test('are given up at once when the client is gone before they are sent', () => {
    const { channel, options } = channelOf();
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call' };
    const exchange = new HeldExchange({
      channel,
      client: CLIENT,
      capabilities: {},
      message,
      options: {},
      mayAsk: true,
    });
    void exchange.run({ ...ROUND, signal: AbortSignal.abort() });
    expect(options[0]?.signal.aborted).toBe(true);
  });

  test('on a replica that falls silent end with an error', async () => {
    vi.useFakeTimers();
    const relay = createRelay({ replicaId: 'two', relay: async () => true });
    const remote = createRemoteRounds({ relay });
    const end = remote.resume('one', { exchangeId: 'e', turn: 1, responses: '{}' }, ROUND);
    const failure = end.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await failure).toMatchObject({ reason: 'unavailable' });
  });
});

describe('log levels', () => {
  test('are told to an upstream that can be told one, never quieter than before nor than most clients expect', async () => {
    const levels = createUpstreamLogLevels();
    const { channel, sent } = channelOf(async () => ({ result: {} }));
    for (const level of [undefined, 'error', 'info', 'debug', 'warning']) {
      await levels.raise(channel, level);
    }
    expect(sent.map(({ method, params }) => [method, params])).toEqual([
      ['logging/setLevel', { level: 'info' }],
      ['logging/setLevel', { level: 'debug' }],
    ]);
  });

  test('are not told to an upstream that does not log', async () => {
    const { channel, sent } = channelOf(async () => ({ result: {} }), undefined);
    await createUpstreamLogLevels().raise({ ...channel, initializeResult: { capabilities: {} } }, 'debug');
    expect(sent).toEqual([]);
  });

  test('of sessions are remembered for the 10,000 that said one last', () => {
    const levels = createLogLevels();
    levels.set('first', 'info');
    levels.set('nonsense', 'loud');
    for (let n = 0; n < 10_000; n++) {
      levels.set(`session ${n}`, 'error');
    }
    expect([levels.find('first'), levels.find('nonsense'), levels.find('session 0')]).toEqual([
      undefined,
      undefined,
      'error',
    ]);
  });
});

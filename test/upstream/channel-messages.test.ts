import { afterEach, describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import type { ChannelClient } from '../../src/upstream/channels.ts';
import { channelsOf, clientOf, connect as connectTo, TestClient, toolCall } from './channel-clients.ts';
import { fakeUpstream } from './stdio.ts';

const opened: ReturnType<typeof channelsOf>[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ close }) => close()));
});

function setUp() {
  const setup = channelsOf();
  opened.push(setup);
  return setup.channels;
}

async function connect(upstream: Upstream = fakeUpstream(), client: ChannelClient = clientOf('ann', 's1')) {
  const channels = setUp();
  return connectTo(channels, upstream, client);
}

const sampling = { sampling: {} };

describe('messages of clients that share a connection', () => {
  test.each([1, 0, -7, 9007199254740991, '1', '', 'ü-1'])('the id %j comes back unchanged', async (id) => {
    const client = await connect();
    const answer = await client.send(toolCall(id, 'echo', { b: 1, a: [null, 'é'] }));
    expect(JSON.stringify(answer)).toBe(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"b":1,"a":[null,"é"]}}`);
  });

  test('50 clients with equal ids and progress tokens get their own answers and progress only', {
    timeout: 30_000,
  }, async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const clients = await Promise.all(
      Array.from({ length: 50 }, (_, index) => connectTo(channels, upstream, clientOf('ann', `s${index}`))),
    );
    const pids = await Promise.all(clients.map((client) => client.call('pid')));
    expect(new Set(pids.map(({ pid }) => pid)).size).toBe(1);
    const rounds = [0, 1, 2].flatMap((round) =>
      clients.map(async (client, index) => {
        const seen: unknown[] = [];
        const answer = await client.channel.request(
          toolCall(
            round,
            'progress',
            { steps: 3 + (index % 3), everyMs: 5 + (index % 7), owner: `${index}/${round}` },
            { progressToken: 'token' },
          ),
          { client: client.client, signal: client.gone.signal, onMessage: (message) => seen.push(message.params) },
        );
        expect(answer.id).toBe(round);
        expect(answer.result).toMatchObject({ owner: `${index}/${round}` });
        expect(seen).toEqual(
          Array.from({ length: 3 + (index % 3) }, (_, step) => ({ progressToken: 'token', progress: step + 1 })),
        );
      }),
    );
    await Promise.all(rounds);
  });

  test('an error of the upstream is an answer', async () => {
    const client = await connect();
    expect(await client.send({ jsonrpc: '2.0', id: 'x', method: 'no/such', params: {} })).toEqual({
      jsonrpc: '2.0',
      id: 'x',
      error: { code: -32601, message: 'no no/such' },
    });
  });

  test('garbage on stdout is skipped, a batch is taken apart, long numbers are kept', async () => {
    const client = await connect();
    expect(await client.call('garbage')).toEqual({ ok: true });
    expect(await client.call('batch')).toEqual({ b: 1 });
    const answer = await client.send(toolCall(5, 'longNumber'));
    expect(JSON.stringify(answer)).toBe('{"jsonrpc":"2.0","id":5,"result":{"id":12345678901234567890}}');
  });

  test('an error with the id null belongs to the only call in flight', async () => {
    const client = await connect();
    expect(await client.send(toolCall('q', 'nullError'))).toEqual({
      jsonrpc: '2.0',
      id: 'q',
      error: { code: -32700, message: 'Parse error' },
    });
  });

  test('a cancellation reaches the upstream with its own id, and only for a call of that client', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connectTo(channels, upstream, clientOf('ann', 's1'));
    const other = await connectTo(channels, upstream, clientOf('ann', 's2'));
    const hanging = other.send(toolCall(7, 'hang'));
    const failed = hanging.catch((error: unknown) => error);
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7, reason: 'enough' } };
    ann.channel.notify(ann.client, cancel);
    other.channel.notify(other.client, cancel);
    expect(await failed).toMatchObject({ reason: 'canceled' });
    const { received } = await ann.call('received');
    const hangId = received.find((message) => message.params?.name === 'hang')?.id;
    expect(received.filter((message) => message.method === 'notifications/cancelled')).toEqual([
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: hangId, reason: 'enough' } },
    ]);
  });

  test('a client that goes away cancels its call', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connectTo(channels, upstream, clientOf('ann', 's1'));
    const gone = await connectTo(channels, upstream, clientOf('ann', 's2'));
    const hanging = gone.send(toolCall(1, 'hang'));
    gone.gone.abort();
    await expect(hanging).rejects.toMatchObject({ reason: 'canceled' });
    const { received } = await ann.call('received');
    expect(received.at(-2)).toMatchObject({
      method: 'notifications/cancelled',
      params: { reason: 'the client disconnected' },
    });
    await expect(gone.send(toolCall(2, 'echo'))).rejects.toMatchObject({ reason: 'canceled' });
  });

  test('silence is a timeout that cancels the call; progress is not silence', async () => {
    const client = await connect(fakeUpstream({}, { timeoutMs: 1500 }));
    const slow = client.call('progress', { steps: 3, everyMs: 900 }, { progressToken: 1 });
    await expect(client.call('hang')).rejects.toMatchObject({
      reason: 'upstream_timeout',
      message: expect.stringContaining('The upstream "demo" sent nothing for 1.5 s.'),
    });
    expect(await slow).toMatchObject({ steps: 3 });
    const { received } = await client.call('received');
    expect(received.find((message) => message.method === 'notifications/cancelled')?.params?.reason).toBe('timeout');
  });

  test('a notification of a client arrives as it is', async () => {
    const client = await connect();
    const changed = { jsonrpc: '2.0', method: 'notifications/roots/list_changed', params: { x: 1 } };
    client.channel.notify(client.client, changed);
    expect((await client.call('received')).received).toContainEqual(changed);
  });
});

describe('a request of the upstream', () => {
  test('goes to the client of the call, and its answer goes back', async () => {
    const client = await connect(fakeUpstream(), clientOf('ann', 's1', sampling));
    const result = client.call('ask', { method: 'sampling/createMessage', question: 'why?', askId: 'up-1' });
    const question = await client.next();
    expect(question).toEqual({
      jsonrpc: '2.0',
      id: expect.any(String),
      method: 'sampling/createMessage',
      params: { question: 'why?' },
    });
    expect(question.id).not.toBe('up-1');
    expect(
      client.channel.respond(client.client, { jsonrpc: '2.0', id: question.id, result: { text: 'because' } }),
    ).toBe(true);
    expect((await result).reply).toEqual({ jsonrpc: '2.0', id: 'up-1', result: { text: 'because' } });
    expect(client.channel.respond(client.client, { jsonrpc: '2.0', id: question.id, result: {} })).toBe(false);
  });

  test('cannot be answered by another client', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connectTo(channels, upstream, clientOf('ann', 's1', sampling));
    const other = await connectTo(channels, upstream, clientOf('ann', 's2', sampling));
    const result = ann.call('ask', { method: 'sampling/createMessage' });
    const question = await ann.next();
    expect(other.channel.respond(other.client, { jsonrpc: '2.0', id: question.id, result: { text: 'forged' } })).toBe(
      false,
    );
    expect(
      ann.channel.respond(clientOf('bob', 's1'), { jsonrpc: '2.0', id: question.id, result: { text: 'forged' } }),
    ).toBe(false);
    expect(ann.channel.respond(ann.client, { jsonrpc: '2.0', id: question.id, result: { text: 'real' } })).toBe(true);
    expect((await result).reply.result).toEqual({ text: 'real' });
  });

  test('goes to the oldest of several calls', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const first = await connectTo(channels, upstream, clientOf('ann', 's1', sampling));
    const second = await connectTo(channels, upstream, clientOf('ann', 's2', sampling));
    const hanging = first.send(toolCall(1, 'hang'));
    hanging.catch(() => undefined);
    const result = second.call('ask', { method: 'sampling/createMessage' });
    const question = await first.next();
    expect(first.channel.respond(first.client, { jsonrpc: '2.0', id: question.id, result: { by: 'first' } })).toBe(
      true,
    );
    expect((await result).reply.result).toEqual({ by: 'first' });
    expect(second.withCalls).toEqual([]);
  });

  test('is refused at once when no client declared the capability', async () => {
    const client = await connect(fakeUpstream(), clientOf('ann', 's1', { roots: {} }));
    const { reply } = await client.call('ask', { method: 'elicitation/create' });
    expect(reply.error).toEqual({ code: -32601, message: 'no connected client supports elicitation/create' });
    expect(client.withCalls).toEqual([]);
  });

  test('is never delivered on a connection that principals share', async () => {
    const client = await connect(fakeUpstream({ sharing: 'per_upstream' }), clientOf('ann', 's1', sampling));
    const { reply } = await client.call('ask', { method: 'sampling/createMessage' });
    expect(reply.error?.code).toBe(-32601);
  });

  test('goes to a listening stream when no call is in flight, and fails when that closes', async () => {
    const client = await connect(fakeUpstream(), clientOf('ann', 's1', sampling));
    const detach = client.listen();
    const question = client.next();
    await client.call('askLater', { method: 'sampling/createMessage', askId: 'idle' });
    expect((await question).method).toBe('sampling/createMessage');
    detach();
    const { received } = await client.call('received');
    expect(received.find((message) => message.id === 'idle')?.error).toEqual({
      code: -32603,
      message: 'the client went away before it answered',
    });
  });

  test('is answered with an error when the client of the call goes away', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const gone = await connectTo(channels, upstream, clientOf('ann', 's1', sampling));
    const result = gone.call('ask', { method: 'sampling/createMessage', askId: 'q' });
    result.catch(() => undefined);
    await gone.next();
    gone.gone.abort();
    const ann = await connectTo(channels, upstream, clientOf('ann', 's2', sampling));
    const { received } = await ann.call('received');
    expect(received.find((message) => message.id === 'q')?.error?.code).toBe(-32603);
  });

  test('gives the client all the time it needs', async () => {
    const client = await connect(fakeUpstream({}, { timeoutMs: 1500 }), clientOf('ann', 's1', sampling));
    const result = client.call('ask', { method: 'sampling/createMessage' });
    const question = await client.next();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    client.channel.respond(client.client, { jsonrpc: '2.0', id: question.id, result: { text: 'at last' } });
    expect((await result).reply.result).toEqual({ text: 'at last' });
  });

  test('that is taken back is taken back from the client too', async () => {
    const client = await connect(fakeUpstream(), clientOf('ann', 's1', sampling));
    await client.call('askAndCancel', { method: 'sampling/createMessage' });
    const [question, cancelled] = client.withCalls;
    expect(cancelled).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: question?.id, reason: 'never mind' },
    });
    expect(client.channel.respond(client.client, { jsonrpc: '2.0', id: question?.id, result: {} })).toBe(false);
  });

  test('ping is answered by the gateway', async () => {
    const client = await connect();
    expect((await client.call('ask', { method: 'ping', askId: 9 })).reply).toEqual({
      jsonrpc: '2.0',
      id: 9,
      result: {},
    });
  });
});

describe('a notification of the upstream that names no request', () => {
  const log = { method: 'notifications/message', params: { level: 'info', data: 'x' } };
  const changed = { method: 'notifications/tools/list_changed' };

  async function two(upstream: Upstream, principals = ['ann', 'ann']) {
    const channels = setUp();
    const first = await connectTo(channels, upstream, clientOf(principals[0] ?? '', 's1'));
    const second = await connectTo(channels, upstream, clientOf(principals[1] ?? '', 's2'));
    return { first, second };
  }

  test('goes with the only call in flight', async () => {
    const { first, second } = await two(fakeUpstream());
    second.listen();
    await first.call('notify', { message: log });
    expect(first.withCalls).toEqual([{ jsonrpc: '2.0', ...log }]);
    expect(second.heard).toEqual([]);
  });

  test('goes to the listening streams of the principal when several calls are in flight, one for each session', async () => {
    const { first, second } = await two(fakeUpstream());
    const hanging = second.send(toolCall(1, 'hang'));
    hanging.catch(() => undefined);
    first.listen();
    first.listen();
    second.listen();
    await first.call('notify', { message: log });
    expect([first.withCalls, first.heard, second.withCalls, second.heard]).toEqual([
      [],
      [{ jsonrpc: '2.0', ...log }],
      [],
      [{ jsonrpc: '2.0', ...log }],
    ]);
  });

  test('goes nowhere when it could reach another principal', async () => {
    const { first, second } = await two(fakeUpstream({ sharing: 'per_upstream' }), ['ann', 'bob']);
    const hanging = second.send(toolCall(1, 'hang'));
    hanging.catch(() => undefined);
    first.listen();
    second.listen();
    await first.call('notify', { message: log });
    expect([...first.withCalls, ...first.heard, ...second.withCalls, ...second.heard]).toEqual([]);
  });

  test('reaches everybody when a list changed', async () => {
    const { first, second } = await two(fakeUpstream({ sharing: 'per_upstream' }), ['ann', 'bob']);
    second.listen();
    await first.call('notify', { message: changed });
    expect(first.withCalls).toEqual([{ jsonrpc: '2.0', ...changed }]);
    expect(second.heard).toEqual([{ jsonrpc: '2.0', ...changed }]);
  });
});

describe('a modern upstream on a shared connection', () => {
  const listen = (id: string | number) => ({
    jsonrpc: '2.0',
    id,
    method: 'subscriptions/listen',
    params: { notifications: { toolsListChanged: true } },
  });
  const subscription = 'io.modelcontextprotocol/subscriptionId';

  async function modern() {
    const channels = setUp();
    const upstream = fakeUpstream({ args: ['--modern'] }, { timeoutMs: 1500 });
    const client = { principalId: 'ann', sessionId: 'request-1' };
    return { client: new TestClient(client, await channels.open(upstream, client, 'modern')), channels, upstream };
  }

  test('needs no initialization', async () => {
    const { client } = await modern();
    expect(client.channel.initializeResult).toBeUndefined();
    expect((await client.call('received')).received).toHaveLength(1);
  });

  test('tags each subscription with the id of its own client, also when they are equal, and may be silent', async () => {
    const { client, channels, upstream } = await modern();
    const other = await connectTo(channels, upstream, { principalId: 'ann', sessionId: 'request-2' }, 'modern');
    const first = client.send(listen('same'));
    const second = other.send(listen('same'));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await client.call('change');
    for (const { withCalls } of [client, other]) {
      expect(withCalls).toEqual([
        {
          jsonrpc: '2.0',
          method: 'notifications/subscriptions/acknowledged',
          params: { _meta: { [subscription]: 'same' }, notifications: { toolsListChanged: true } },
        },
        { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: { [subscription]: 'same' } } },
      ]);
    }
    await client.call('endListens', { how: 'answer' });
    const ended = { jsonrpc: '2.0', id: 'same', result: { resultType: 'complete', _meta: { [subscription]: 'same' } } };
    expect(await Promise.all([first, second])).toEqual([ended, ended]);
  });

  test('that ends a subscription without an answer ends its stream', async () => {
    const { client } = await modern();
    const stream = client.send(listen(4));
    const failed = stream.catch((error: unknown) => error);
    await client.next();
    await client.call('endListens', { how: 'cancel' });
    expect(client.withCalls.at(-1)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 4 },
    });
    expect(await failed).toMatchObject({ reason: 'unavailable', message: expect.stringContaining('Listen again') });
  });

  test('sends log messages to the call that asked for them only', async () => {
    const { client } = await modern();
    const stream = client.send(listen(1));
    stream.catch(() => undefined);
    await client.next();
    const log = { method: 'notifications/message', params: { level: 'info', data: 'x' } };
    await client.call('notify', { message: log });
    expect(client.withCalls).toHaveLength(1);
    await client.call('notify', { message: log }, { 'io.modelcontextprotocol/logLevel': 'info' });
    expect(client.withCalls.at(-1)).toEqual({ jsonrpc: '2.0', ...log });
  });

  test('may ask nothing', async () => {
    const { client } = await modern();
    expect((await client.call('ask', { method: 'sampling/createMessage' })).reply.error?.code).toBe(-32601);
  });
});

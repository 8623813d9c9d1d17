import { afterEach, describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { channelsOf, clientOf, connect, toolCall } from './channel-clients.ts';
import { fakeUpstream, gone, isAlive } from './stdio.ts';

const opened: ReturnType<typeof channelsOf>[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(({ close }) => close()));
});

function setUp() {
  const setup = channelsOf();
  opened.push(setup);
  return setup.channels;
}

/** The process that serves a client. */
async function pidOf(
  channels: ReturnType<typeof setUp>,
  upstream: Upstream,
  client: ReturnType<typeof clientOf>,
): Promise<number> {
  return (await (await connect(channels, upstream, client)).call('pid')).pid;
}

describe('the sharing of processes', () => {
  test('per principal: sessions share when version and capabilities are equal, principals never', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ maxProcesses: 8 });
    const [first, second, reordered, other, bob] = await Promise.all([
      pidOf(channels, upstream, clientOf('ann', 's1', { roots: {}, sampling: { a: 1, b: 2 } })),
      pidOf(channels, upstream, clientOf('ann', 's2', { roots: {}, sampling: { a: 1, b: 2 } })),
      pidOf(channels, upstream, clientOf('ann', 's3', { sampling: { b: 2, a: 1 }, roots: {} })),
      pidOf(channels, upstream, clientOf('ann', 's4', { roots: {} })),
      pidOf(channels, upstream, clientOf('bob', 's5', { roots: {}, sampling: { a: 1, b: 2 } })),
    ]);
    expect([second, reordered]).toEqual([first, first]);
    expect(new Set([first, other, bob]).size).toBe(3);
  });

  test('per session: each has a process, which ends with it', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ sharing: 'per_session' });
    const first = await pidOf(channels, upstream, clientOf('ann', 's1'));
    const again = await pidOf(channels, upstream, clientOf('ann', 's1'));
    const second = await pidOf(channels, upstream, clientOf('ann', 's2'));
    expect(again).toBe(first);
    expect(second).not.toBe(first);
    await channels.endSession(upstream, 's1');
    expect([isAlive(first), isAlive(second)]).toEqual([false, true]);
  });

  test('per upstream: all share one, which is told nothing of any client', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ sharing: 'per_upstream' });
    const ann = await connect(channels, upstream, clientOf('ann', 's1', { sampling: {} }));
    const old = {
      principalId: 'bob',
      sessionId: 's2',
      initializeParams: { protocolVersion: '2024-11-05', capabilities: {} },
    };
    const bob = await connect(channels, upstream, old);
    expect((await bob.call('pid')).pid).toBe((await ann.call('pid')).pid);
    expect((await bob.call('initialized')).initializeParams).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'portcullis', version: expect.any(String) },
    });
    expect(bob.channel).toBe(ann.channel);
    expect(ann.channel.initializeResult?.protocolVersion).toBe('2025-11-25');
  });

  test('initializes once, with what the first client said and nothing of its principal', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const clients = await Promise.all(
      ['s1', 's2', 's3'].map((id) => connect(channels, upstream, clientOf('ann', id, { roots: {} }))),
    );
    const { received } = await (clients[2] as (typeof clients)[0]).call('received');
    expect(received.slice(0, 2)).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: {
          protocolVersion: '2025-11-25',
          capabilities: { roots: {} },
          clientInfo: { name: 'test client', version: '1' },
        },
      },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ]);
    expect(received.filter(({ method }) => method === 'initialize')).toHaveLength(1);
    expect(clients.map(({ channel }) => channel.initializeResult)).toEqual(
      Array.from({ length: 3 }, () => ({
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'fake', version: '1' },
      })),
    );
  });
});

describe('a process that fails', () => {
  test('in the middle of a call fails its calls and is started again', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    const { pid } = await ann.call('pid');
    const waiting = ann.send(toolCall('w', 'hang'));
    const crash = { reason: 'bad_gateway', message: 'The process of the upstream "demo" exited with code 3: boom' };
    await Promise.all([
      expect(waiting).rejects.toMatchObject(crash),
      expect(ann.call('crash', { say: 'boom' })).rejects.toMatchObject(crash),
    ]);
    expect(await pidOf(channels, upstream, clientOf('ann', 's1'))).not.toBe(pid);
  });

  test('keeps the listening streams over a restart, and tells them', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    ann.listen();
    await ann.call('crash').catch(() => undefined);
    const restarted = await connect(channels, upstream, clientOf('ann', 's2'));
    await restarted.call('notify', { message: { method: 'notifications/tools/list_changed' } });
    expect(ann.heard).toEqual([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }]);
    expect(ann.reopened).toBe(1);
  });

  test('again and again is started ever later, and says why', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ args: ['--refuse'] });
    const fails = {
      reason: 'bad_gateway',
      message: expect.stringContaining('exited with code 1: cannot read /etc/token'),
    };
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject(fails);
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject(fails);
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject({
      reason: 'unavailable',
      retryAfterMs: expect.any(Number),
      message: expect.stringContaining(
        'failed 2 times in a row; it is started again in 1 s. Last error: The process of the upstream',
      ),
    });
    await new Promise((resolve) => setTimeout(resolve, 550));
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject(fails);
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject({ reason: 'unavailable' });
  });

  test('that hangs altogether is replaced', { timeout: 15_000 }, async () => {
    const channels = setUp();
    const upstream = fakeUpstream({}, { timeoutMs: 1500 });
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    const { pid } = await ann.call('pid');
    await expect(ann.call('freeze')).rejects.toMatchObject({ reason: 'upstream_timeout' });
    await gone(pid);
    expect(await pidOf(channels, upstream, clientOf('ann', 's1'))).not.toBe(pid);
  });

  test('that refuses to initialize is ended', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ args: ['--modern'] });
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject({
      reason: 'bad_gateway',
      message: 'The upstream "demo" refused the initialization: no initialize',
    });
  });

  test('that may not be started fails each time in the same way', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ command: '/bin/sh' });
    for (let attempt = 0; attempt < 4; attempt++) {
      await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject({
        reason: 'failed_precondition',
      });
    }
  });
});

describe('the number of processes', () => {
  test('never exceeds the maximum: the one unused for longest makes room, one that is listened to last', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ maxProcesses: 2 });
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    ann.listen();
    const annPid = (await ann.call('pid')).pid;
    const bobPid = await pidOf(channels, upstream, clientOf('bob', 's2'));
    const eve = await pidOf(channels, upstream, clientOf('eve', 's3'));
    expect([isAlive(annPid), isAlive(bobPid), isAlive(eve)]).toEqual([true, false, true]);
    // A channel whose process was ended in between starts another one.
    const dan = await connect(channels, upstream, clientOf('dan', 's4'));
    expect(isAlive(eve)).toBe(false);
    const zoe = await pidOf(channels, upstream, clientOf('zoe', 's5'));
    const danAgain = (await dan.call('pid')).pid;
    expect([isAlive(annPid), isAlive(zoe), isAlive(danAgain)].filter(Boolean)).toHaveLength(2);
  });

  test('at the maximum, when all are busy, is a clear error', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ maxProcesses: 1 });
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    const hanging = ann.send(toolCall(1, 'hang'));
    hanging.catch(() => undefined);
    await expect(connect(channels, upstream, clientOf('bob', 's2'))).rejects.toMatchObject({
      reason: 'unavailable',
      message: expect.stringContaining('raise its maximum of processes'),
    });
    ann.gone.abort();
    expect(await pidOf(channels, upstream, clientOf('bob', 's2'))).toBeGreaterThan(0);
  });

  test('shrinks when they are idle, unless somebody listens', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ idleTimeoutMs: 300 });
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    const bob = await connect(channels, upstream, clientOf('bob', 's2'));
    const annPid = (await ann.call('pid')).pid;
    const bobPid = (await bob.call('pid')).pid;
    const detach = bob.listen();
    await gone(annPid);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isAlive(bobPid)).toBe(true);
    detach();
    await gone(bobPid);
    expect((await ann.call('pid')).pid).not.toBe(annPid);
  });
});

describe('a changed upstream', () => {
  test('gets new processes; the old ones end after their calls, streams at once', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    const { pid } = await ann.call('pid');
    const slow = ann.call('progress', { steps: 10, everyMs: 50 }, { progressToken: 1 });
    let ended = 0;
    ann.channel.attach(ann.client, { send: () => undefined, onEnd: () => void ended++ });
    channels.forget(upstream.id);
    expect(ended).toBe(1);
    const changed = { ...upstream, revision: 2 };
    const fresh = await pidOf(channels, changed, clientOf('ann', 's1'));
    expect(fresh).not.toBe(pid);
    expect(isAlive(pid)).toBe(true);
    expect(await slow).toMatchObject({ steps: 10 });
    await gone(pid);
    await expect(connect(channels, upstream, clientOf('ann', 's1'))).rejects.toMatchObject({ reason: 'unavailable' });
    expect(await pidOf(channels, changed, clientOf('ann', 's1'))).toBe(fresh);
  });

  test('ends a stream that comes late', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const ann = await connect(channels, upstream, clientOf('ann', 's1'));
    channels.forget(upstream.id);
    const ended = new Promise<string>((resolve) => {
      ann.channel.attach(ann.client, { send: () => undefined, onEnd: () => resolve('ended') });
    });
    expect(await ended).toBe('ended');
  });

  test('ends its subscriptions', async () => {
    const channels = setUp();
    const upstream = fakeUpstream({ args: ['--modern'] });
    const client = await connect(channels, upstream, { principalId: 'ann', sessionId: 'r1' }, 'modern');
    const { pid } = await client.call('pid');
    const stream = client.send({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { notifications: {} },
    });
    await client.next();
    channels.forget(upstream.id);
    await expect(stream).rejects.toMatchObject({ reason: 'unavailable' });
    await gone(pid);
  });

  test('that is closed while it starts leaves no process', async () => {
    const channels = setUp();
    const upstream = fakeUpstream();
    const starting = connect(channels, upstream, clientOf('ann', 's1'));
    channels.forget(upstream.id);
    await expect(starting).rejects.toMatchObject({ reason: 'unavailable' });
  });
});

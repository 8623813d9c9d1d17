import { getEventListeners } from 'node:events';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { ErrorInfoSchema, RetryInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { WatchDecisionsResponseSchema } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { createPortcullisClient } from '../src/client.ts';
import { createDecisionWatcher, type WatchOptions, watchDecisions } from '../src/watch-decisions.ts';
import { checkpointResponse, createDecisionLog, decisionResponse, envelope } from './decision-log.ts';
import { type RawAnswer, refusal, startFakeGateway, tokenExpired, unusedUrl } from './fake-gateway.ts';

/** Reconnects at once, and never takes silence for a break. */
const quickWatch = createDecisionWatcher({ silenceMs: 60_000, firstDelayMs: 1, maxDelayMs: 5 });

/** Collects the ids of decisions and the reasons of breaks until so many decisions have come. */
async function collect(count: number, baseUrl: string, options: WatchOptions, watch = quickWatch) {
  const ids: string[] = [];
  const breaks: string[] = [];
  const onReconnect: WatchOptions['onReconnect'] = ({ reason }) => breaks.push(reason);
  for await (const { decision } of watch(createPortcullisClient({ baseUrl }), { ...options, onReconnect })) {
    ids.push(decision.id);
    if (ids.length === count) break;
  }
  return { ids, breaks };
}

/** Answers with a stream of the given bytes, and then ends it in the given way. */
function streamOf(bytes: readonly Buffer[], end: 'destroy' | 'end' | 'stay'): RawAnswer {
  return (_, response) => {
    response.writeHead(200, { 'content-type': 'application/connect+proto' });
    response.write(Buffer.concat([Buffer.alloc(0), ...bytes]), () => {
      if (end === 'destroy') response.destroy();
      if (end === 'end') response.end();
    });
  };
}

const responseBytes = (number: number) => envelope(WatchDecisionsResponseSchema, decisionResponse(number));

it('gives each decision with the cursor after it, from the cursor that was asked for', async () => {
  const log = createDecisionLog();
  log.append(4);
  const { baseUrl } = await startFakeGateway({ decisions: log });

  const seen: string[] = [];
  for await (const { decision, cursor } of watchDecisions(createPortcullisClient({ baseUrl }), { cursor: 'c2' })) {
    seen.push(`${decision.id} ${cursor}`);
    if (seen.length === 2) break;
  }

  expect(seen).toEqual(['d3 c3', 'd4 c4']);
});

it('begins at the first checkpoint when it has no cursor', async () => {
  const log = createDecisionLog();
  log.append(3);
  const { baseUrl } = await startFakeGateway({ decisions: log });

  const checkpoints: string[] = [];
  const onCheckpoint = (cursor: string) => {
    checkpoints.push(cursor);
    log.append(1);
  };
  const { ids } = await collect(1, baseUrl, { onCheckpoint });

  expect(checkpoints).toEqual(['c3']);
  expect(ids).toEqual(['d4']);
});

it('sends filter and project with every connection', async () => {
  const asked: unknown[] = [];
  const { baseUrl } = await startFakeGateway({
    decisions: {
      async *watchDecisions({ filter, project, cursor }) {
        asked.push([filter?.tool, project?.value.value, cursor]);
        yield decisionResponse(asked.length);
        throw new ConnectError('Stopping.', Code.Unavailable);
      },
    },
  });

  await collect(2, baseUrl, { filter: { tool: 'echo' }, project: { value: { case: 'slug', value: 'shop' } } });

  expect(asked).toEqual([
    ['echo', 'shop', ''],
    ['echo', 'shop', 'c1'],
  ]);
});

describe('after a break', () => {
  it('goes on with the next decision, so that each comes exactly once', async () => {
    const log = createDecisionLog();
    log.append(5);
    const gateway = await startFakeGateway({ decisions: log });

    const ids: string[] = [];
    for await (const { decision } of quickWatch(createPortcullisClient(gateway), { cursor: 'c0' })) {
      ids.push(decision.id);
      if (decision.id === 'd5' || decision.id === 'd7') {
        gateway.cutConnections();
        log.append(2);
      }
      if (ids.length === 9) break;
    }

    expect(ids).toEqual(['d1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'd8', 'd9']);
    expect(log.cursors).toEqual(['c0', 'c5', 'c7']);
  });

  it.each([
    ['in the middle of a message, by a reset', [responseBytes(1), responseBytes(2).subarray(0, 7)], 'destroy'],
    ['in the middle of a message, by a clean end', [responseBytes(1), responseBytes(2).subarray(0, 7)], 'end'],
    ['between two messages, by a reset', [responseBytes(1)], 'destroy'],
    ['between two messages, by a clean end', [responseBytes(1)], 'end'],
    ['in an envelope', [responseBytes(1), Buffer.alloc(3)], 'end'],
  ] as const)('resumes when the stream breaks off %s', async (_, bytes, end) => {
    const log = createDecisionLog();
    log.append(3);
    const { baseUrl } = await startFakeGateway({ decisions: log }, (request) =>
      request === 1 ? streamOf(bytes, end) : undefined,
    );

    const { ids, breaks } = await collect(3, baseUrl, { cursor: 'c0' });

    expect(ids).toEqual(['d1', 'd2', 'd3']);
    expect(breaks).toEqual(['connection_failed']);
    expect(log.cursors).toEqual(['c1']);
  });

  it('resumes at the last checkpoint when no decision came since', async () => {
    const log = createDecisionLog();
    log.append(6);
    const gateway = await startFakeGateway({ decisions: log });

    const onCheckpoint = () => {
      if (log.cursors.length === 1) gateway.cutConnections();
      else log.append(1);
    };
    const { ids } = await collect(1, gateway.baseUrl, { onCheckpoint });

    expect(log.cursors).toEqual(['', 'c6']);
    expect(ids).toEqual(['d7']);
  });

  it.each([
    ['the gateway stops', new ConnectError('Stopping.', Code.Unavailable), 'connection_failed'],
    ['the store is away', refusal(Code.Unavailable, 'ERROR_REASON_UNAVAILABLE'), 'unavailable'],
    [
      'a rate limit is reached',
      refusal(Code.ResourceExhausted, 'ERROR_REASON_RATE_LIMIT_EXCEEDED'),
      'rate_limit_exceeded',
    ],
  ])('connects again when %s', async (_, error, reason) => {
    const log = createDecisionLog();
    log.append(1);
    let opened = 0;
    const { baseUrl } = await startFakeGateway({
      decisions: {
        async *watchDecisions(request, context) {
          if (++opened <= 3) throw error;
          yield* log.watchDecisions(request, context);
        },
      },
    });

    const { ids, breaks } = await collect(1, baseUrl, { cursor: 'c0' });

    expect(ids).toEqual(['d1']);
    expect(breaks).toEqual([reason, reason, reason]);
  });

  it('connects again when the stream ends although the watch is not over', async () => {
    const { baseUrl } = await startFakeGateway({
      decisions: {
        async *watchDecisions({ cursor }) {
          yield decisionResponse(cursor === '' ? 1 : 2);
        },
      },
    });

    const { ids, breaks } = await collect(2, baseUrl, {});

    expect(ids).toEqual(['d1', 'd2']);
    expect(breaks).toEqual(['connection_failed']);
  });

  it.each([
    ['a decision', [decisionResponse(1)]],
    ['a second checkpoint', [checkpointResponse(0), checkpointResponse(0)]],
  ])('begins again with the shortest delay when the connection has carried %s', async (_, responses) => {
    let opened = 0;
    const { baseUrl } = await startFakeGateway({
      decisions: {
        async *watchDecisions() {
          yield* ++opened < 20 ? responses : [decisionResponse(20)];
        },
      },
    });
    // The nineteenth delay in a row would be more than two minutes.
    const doubling = createDecisionWatcher({ silenceMs: 60_000, firstDelayMs: 1, maxDelayMs: 3_600_000 });

    for await (const { cursor } of doubling(createPortcullisClient({ baseUrl }))) {
      if (cursor === 'c20') break;
    }

    expect(opened).toBe(20);
  });

  it('doubles the delay as long as connections carry nothing but their first checkpoint', async () => {
    const times: number[] = [];
    const { baseUrl } = await startFakeGateway({
      decisions: {
        async *watchDecisions() {
          times.push(performance.now());
          if (times.length === 5) yield decisionResponse(1);
          yield checkpointResponse(0);
        },
      },
    });
    const lowest = createDecisionWatcher({ silenceMs: 60_000, firstDelayMs: 50, maxDelayMs: 60_000, random: () => 0 });

    await collect(1, baseUrl, {}, lowest);

    // 25 + 50 + 100 + 200 ms, less what timers may be early.
    expect((times[4] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(370);
  });

  it('leaves nothing behind on the signal', async () => {
    const log = createDecisionLog();
    log.append(3);
    const { baseUrl } = await startFakeGateway({ decisions: log }, (request) =>
      request <= 2 ? streamOf([], 'end') : undefined,
    );
    const { signal } = new AbortController();

    const { breaks } = await collect(1, baseUrl, { cursor: 'c0', signal });

    expect(breaks).toHaveLength(2);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('takes a stream without checkpoints for broken', async () => {
    const log = createDecisionLog();
    log.append(2);
    const { baseUrl } = await startFakeGateway({ decisions: log }, (request) =>
      request === 1 ? streamOf([responseBytes(1)], 'stay') : undefined,
    );
    const impatient = createDecisionWatcher({ silenceMs: 200, firstDelayMs: 1, maxDelayMs: 5 });

    const { ids, breaks } = await collect(2, baseUrl, { cursor: 'c0' }, impatient);

    expect(ids).toEqual(['d1', 'd2']);
    expect(new Set(breaks)).toEqual(new Set(['connection_failed']));
  });

  it('takes a gateway that accepts the connection and never answers for broken', async () => {
    const log = createDecisionLog();
    log.append(1);
    const { baseUrl } = await startFakeGateway({ decisions: log }, (request) => (request === 1 ? () => {} : undefined));
    const impatient = createDecisionWatcher({ silenceMs: 200, firstDelayMs: 1, maxDelayMs: 5 });

    const { ids, breaks } = await collect(1, baseUrl, { cursor: 'c0' }, impatient);

    expect(ids).toEqual(['d1']);
    expect(new Set(breaks)).toEqual(new Set(['connection_failed']));
  });

  it('does not count the time in which a decision is handled as silence', async () => {
    const log = createDecisionLog();
    log.append(2);
    const { baseUrl } = await startFakeGateway({ decisions: log });
    const impatient = createDecisionWatcher({ silenceMs: 1000, firstDelayMs: 1, maxDelayMs: 5 });

    const ids: string[] = [];
    for await (const { decision } of impatient(createPortcullisClient({ baseUrl }), { cursor: 'c0' })) {
      ids.push(decision.id);
      if (ids.length === 2) break;
      await new Promise((resolve) => setTimeout(resolve, 1300));
    }

    expect(ids).toEqual(['d1', 'd2']);
    expect(log.cursors).toEqual(['c0']);
  });

  it('takes a newer token when the one it began with has expired', async () => {
    const log = createDecisionLog();
    log.append(2);
    let opened = 0;
    const gateway = await startFakeGateway({
      decisions: {
        async *watchDecisions(request, context) {
          opened++;
          if (opened === 1) {
            yield decisionResponse(1);
            throw tokenExpired();
          }
          if (context.requestHeader.get('authorization') === 'Bearer old') throw tokenExpired();
          yield* log.watchDecisions(request, context);
        },
      },
    });
    const credentials = (refused?: string) => (refused === 'old' ? 'new' : 'old');
    const client = createPortcullisClient({ baseUrl: gateway.baseUrl, credentials });

    const ids: string[] = [];
    for await (const { decision } of quickWatch(client, { cursor: 'c0' })) {
      ids.push(decision.id);
      if (ids.length === 2) break;
    }

    expect(ids).toEqual(['d1', 'd2']);
    expect(gateway.requests.map(({ authorization }) => authorization)).toEqual([
      'Bearer old',
      'Bearer old',
      'Bearer new',
    ]);
  });

  it('waits as long as the gateway asks it to', async () => {
    const times: number[] = [];
    const { baseUrl } = await startFakeGateway({
      decisions: {
        async *watchDecisions() {
          times.push(performance.now());
          if (times.length > 1) return yield decisionResponse(1);
          const info = { reason: 'ERROR_REASON_UNAVAILABLE', domain: 'portcullis' };
          throw new ConnectError('Later.', Code.Unavailable, undefined, [
            { desc: ErrorInfoSchema, value: info },
            { desc: RetryInfoSchema, value: { retryDelay: { nanos: 300_000_000 } } },
          ]);
        },
      },
    });

    await collect(1, baseUrl, {});

    const [first = 0, second = 0] = times;
    expect(second - first).toBeGreaterThan(290);
  });
});

describe('what a retry can not mend', () => {
  it.each([
    ['permission_denied', refusal(Code.PermissionDenied, 'ERROR_REASON_PERMISSION_DENIED')],
    ['api_key_revoked', refusal(Code.Unauthenticated, 'ERROR_REASON_API_KEY_REVOKED')],
    ['token_expired', tokenExpired()],
    ['internal', refusal(Code.Internal, 'ERROR_REASON_INTERNAL')],
  ])('throws %s at once', async (reason, error) => {
    const { baseUrl, requests } = await startFakeGateway({
      decisions: {
        watchDecisions() {
          throw error;
        },
      },
    });

    await expect(collect(1, baseUrl, {})).rejects.toMatchObject({ name: 'PortcullisError', reason });
    expect(requests).toHaveLength(1);
  });

  it('throws cursor_invalid, also when it is found out on a reconnect', async () => {
    const { baseUrl, requests } = await startFakeGateway({
      decisions: {
        async *watchDecisions({ cursor }) {
          if (cursor === 'c1') throw refusal(Code.InvalidArgument, 'ERROR_REASON_CURSOR_INVALID');
          yield decisionResponse(1);
          throw new ConnectError('Stopping.', Code.Unavailable);
        },
      },
    });

    await expect(collect(2, baseUrl, {})).rejects.toMatchObject({ reason: 'cursor_invalid' });
    expect(requests).toHaveLength(2);
  });

  it('throws what onCheckpoint throws, without connecting again', async () => {
    const log = createDecisionLog();
    const { baseUrl, requests } = await startFakeGateway({ decisions: log });
    const problem = new Error('the disk is full');

    await expect(collect(1, baseUrl, { onCheckpoint: () => Promise.reject(problem) })).rejects.toBe(problem);
    expect(requests).toHaveLength(1);
    await log.whenIdle();
  });
});

describe('the end', () => {
  it('comes without an error when the signal is aborted while the watch waits', async () => {
    const log = createDecisionLog();
    const { baseUrl } = await startFakeGateway({ decisions: log });
    const aborter = new AbortController();

    const onCheckpoint = () => {
      setImmediate(() => aborter.abort());
    };
    const { ids, breaks } = await collect(1, baseUrl, { signal: aborter.signal, onCheckpoint });

    expect(ids).toEqual([]);
    expect(breaks).toEqual([]);
    await log.whenIdle();
  });

  it('comes before the next decision when the signal is aborted while one is handled', async () => {
    const log = createDecisionLog();
    log.append(9);
    const { baseUrl } = await startFakeGateway({ decisions: log });
    const aborter = new AbortController();

    const ids: string[] = [];
    for await (const { decision } of watchDecisions(createPortcullisClient({ baseUrl }), {
      cursor: 'c0',
      signal: aborter.signal,
    })) {
      ids.push(decision.id);
      if (ids.length === 2) aborter.abort();
    }

    expect(ids).toEqual(['d1', 'd2']);
    await log.whenIdle();
  });

  it('comes at once when the signal is aborted between two connections', async () => {
    const baseUrl = await unusedUrl();
    const patient = createDecisionWatcher({ silenceMs: 60_000, firstDelayMs: 3_600_000, maxDelayMs: 3_600_000 });
    const aborter = new AbortController();

    const watch = patient(createPortcullisClient({ baseUrl }), {
      signal: aborter.signal,
      onReconnect: () => setImmediate(() => aborter.abort()),
    });

    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  it('comes before anything is sent when the signal was aborted before', async () => {
    const { baseUrl, requests } = await startFakeGateway({ decisions: createDecisionLog() });

    const { ids } = await collect(1, baseUrl, { signal: AbortSignal.abort() });

    expect(ids).toEqual([]);
    expect(requests).toEqual([]);
  });

  it('closes the connection when the loop is left', async () => {
    const log = createDecisionLog();
    log.append(1);
    const { baseUrl } = await startFakeGateway({ decisions: log });

    await collect(1, baseUrl, { cursor: 'c0' });

    await expect(log.whenIdle()).resolves.toBeUndefined();
  });
});

import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ErrorInfoSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { addUserWithKey, apiOf, streamableHttp } from './support-api.ts';
import { type CleanUp, createCleanUp } from './support-clean-up.ts';
import { type DecisionStream, openDecisionStream } from './support-decision-stream.ts';
import { callerOf, post, toolCall } from './support-mcp-session.ts';
import { startRecordingUpstream } from './support-recording-upstream.ts';
import { replicaEnv } from './support-replicas.ts';
import { createWatcher, readLog } from './support-watch.ts';

type StartGateways = (cleanUp: CleanUp) => Promise<[GatewayProcess, GatewayProcess]>;

const oneProcess: StartGateways = async (cleanUp) => {
  const gateway = await cleanUp.startGateway({ env: { GATEWAY_DEMO_UPSTREAM: 'false' } });
  return [gateway, gateway];
};
const twoReplicas: StartGateways = async (cleanUp) => {
  const env = await replicaEnv();
  const gateway = await cleanUp.startGateway({ env });
  return [gateway, await cleanUp.startGateway({ env, apiKey: gateway.apiKey })];
};
const installations: readonly [name: string, StartGateways][] = [
  ['one process with SQLite', oneProcess],
  ['two replicas with PostgreSQL', twoReplicas],
];

// On PostgreSQL a transaction of any other test on the same server holds back what a watcher may read (see LogStore.readAfter): once more then.
describe.each(installations)('decisions of %s', { retry: 1 }, (_name, start) => {
  const cleanUp = createCleanUp();
  let gateway: GatewayProcess;
  /** The other replica, or the same process where there is only one. */
  let other: GatewayProcess;
  let upstreamId: string;
  /** A user who may only call tools. */
  let bob: Awaited<ReturnType<typeof addUserWithKey>>;

  beforeAll(async () => {
    const upstream = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    [gateway, other] = await start(cleanUp);
    bob = await addUserWithKey(gateway, 'bob', [Scope.TOOLS_CALL]);
    const settings = {
      transport: streamableHttp(upstream.url),
      era: Era.LEGACY,
      toolFilter: { deniedTools: ['break'] },
    };
    const { createUpstream } = apiOf(gateway, UpstreamService);
    upstreamId = (await createUpstream({ slug: 'tools-a', ...settings })).upstream?.id ?? '';
    await createUpstream({ slug: 'tools-b', ...settings });
    const isReady = async () => (await callOn(other, 'look', 'ready?', 'tools-b', bob.apiKey)).status === 200;
    await vi.waitUntil(isReady, { timeout: 5_000 });
  });

  afterAll(cleanUp.run);

  const decisionsOn = (replica: GatewayProcess) => apiOf(replica, DecisionService);
  const callOn = (replica: GatewayProcess, tool: string, marker: string, slug = 'tools-a', apiKey = replica.apiKey) =>
    post(callerOf(replica, slug, apiKey), toolCall(1, tool, { marker }));

  test('begin with a checkpoint, whose cursor is a place to go on from', async () => {
    const watcher = createWatcher();
    await watcher.open(decisionsOn(gateway));
    expect(watcher.checkpoints).toBe(1);
    await watcher.close();
    await callOn(gateway, 'look', 'while away');
    await watcher.open(decisionsOn(other));
    await watcher.sent(hasMarker('while away'));
    await watcher.close();
    expect(watcher.decisions.map(markerOf)).toEqual(['while away']);
  });

  test('go on after the cursor with what was decided in between', async () => {
    const watcher = createWatcher();
    await watcher.open(decisionsOn(gateway));
    await callOn(gateway, 'look', 'first');
    await watcher.sent(hasMarker('first'));
    await watcher.close();
    await callOn(gateway, 'look', 'second');
    await callOn(other, 'break', 'third');
    await watcher.open(decisionsOn(other));
    await watcher.sent(hasMarker('third'));
    await callOn(gateway, 'look', 'fourth');
    await watcher.sent(hasMarker('fourth'));
    await watcher.close();
    expect(watcher.decisions.map(markerOf)).toEqual(['first', 'second', 'third', 'fourth']);
    expect(watcher.decisions.map(({ effect }) => effect)).toEqual([1, 1, 2, 1]);
  });

  test('come once and in the order of the log to a watcher that leaves and returns while many write', async () => {
    const watcher = createWatcher();
    await watcher.open(decisionsOn(gateway));
    const writers = Array.from({ length: 10 }, async (_, writer) => {
      const replica = writer % 2 === 0 ? gateway : other;
      for (let turn = 0; turn < 30; turn++) {
        await callOn(replica, turn % 5 === 0 ? 'break' : 'look', `${writer}/${turn}`);
      }
    });
    for (let visit = 1; visit <= 10; visit++) {
      const enough = visit * 20;
      await watcher.sent(() => watcher.decisions.length >= enough);
      await watcher.close();
      await watcher.open(decisionsOn(visit % 2 === 0 ? gateway : other));
    }
    await Promise.all(writers);
    await callOn(gateway, 'look', 'the end');
    await watcher.sent(hasMarker('the end'));
    await watcher.close();
    const log = await readLog(decisionsOn(gateway));
    expect(watcher.decisions.map(({ id }) => id)).toEqual(log.slice(-301).map(({ id }) => id));
  });

  test('are narrowed by the filter, also for a watcher that comes back', async () => {
    const watcher = createWatcher({ effect: Effect.DENY, upstreamId });
    await watcher.open(decisionsOn(gateway));
    await callOn(gateway, 'look', 'allowed');
    await callOn(gateway, 'break', 'on the other upstream', 'tools-b');
    await callOn(gateway, 'break', 'denied');
    await watcher.sent(hasMarker('denied'));
    await watcher.close();
    await callOn(gateway, 'look', 'allowed again');
    await callOn(gateway, 'break', 'denied again');
    await watcher.open(decisionsOn(other));
    await watcher.sent(hasMarker('denied again'));
    await watcher.close();
    expect(watcher.decisions.map(markerOf)).toEqual(['denied', 'denied again']);
  });

  test.each([
    ['other_filter', 'The cursor belongs to a watch with another filter or project.', (cursor: string) => cursor],
    ['malformed', 'The cursor is not one that a watch gave.', (cursor: string) => cursor.slice(1)],
  ])('are refused for a cursor that is bad: %s', async (cause, message, spoil) => {
    const watcher = createWatcher({ upstreamId });
    await watcher.open(decisionsOn(gateway));
    await watcher.close();
    const error = await createWatcher({ effect: Effect.DENY }, spoil(watcher.cursor))
      .open(decisionsOn(gateway))
      .catch(ConnectError.from);
    expect(error).toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: `${message} Start with an empty cursor, and fill the gap with ListDecisions.`,
    });
    expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: 'ERROR_REASON_CURSOR_INVALID', domain: 'portcullis', metadata: { cause } },
    ]);
  });

  test('are refused to a watcher without the scope gateway:read', async () => {
    const refused = createWatcher().open(apiOf(gateway, DecisionService, bob.apiKey));
    await expect(refused).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  test('are shown to a key with grants for an upstream it names, and refused otherwise', async () => {
    const { secret } = await apiOf(gateway, ApiKeyService).createApiKey({
      scopes: [Scope.GATEWAY_READ],
      grants: { upstreamIds: [upstreamId] },
    });
    const client = apiOf(gateway, DecisionService, secret);
    await expect(createWatcher().open(client)).rejects.toMatchObject({
      code: Code.PermissionDenied,
      rawMessage:
        'The grants of the credential name upstreams or gateways. Set filter.upstream_id or filter.gateway_id to one of them to see its decisions.',
    });
    const watcher = createWatcher({ upstreamId });
    await watcher.open(client);
    await callOn(gateway, 'look', 'not to be seen', 'tools-b');
    await callOn(gateway, 'look', 'to be seen');
    await watcher.sent(hasMarker('to be seen'));
    await watcher.close();
    expect(watcher.decisions.map(markerOf)).toEqual(['to be seen']);
  });

  test('end for a watcher whose key is revoked', async () => {
    const keys = apiOf(gateway, ApiKeyService);
    const { apiKey, secret } = await keys.createApiKey({ scopes: [Scope.GATEWAY_READ] });
    const watcher = createWatcher();
    await vi.waitFor(() => watcher.open(apiOf(other, DecisionService, secret)), 5_000);
    const stream = await openDecisionStream(callerOf(other, 'tools-a', secret));
    await stream.next();
    await keys.revokeApiKey({ id: apiKey?.id ?? '' });
    expect(await watcher.ended()).toMatchObject({ code: Code.Unauthenticated });
    expect(await stream.next()).toBeUndefined();
  });

  test('end for a key that loses gateway:read', async () => {
    const keys = apiOf(gateway, ApiKeyService);
    const scopes = [Scope.GATEWAY_READ, Scope.TOOLS_CALL];
    const { apiKey, secret } = await keys.createApiKey({ scopes, grants: { allUpstreams: true } });
    const watcher = createWatcher();
    await vi.waitFor(() => watcher.open(apiOf(other, DecisionService, secret)), 5_000);
    const stream = await openDecisionStream(callerOf(other, 'tools-a', secret));
    await stream.next();
    await keys.updateApiKey({ id: apiKey?.id ?? '', scopes: { scopes: [Scope.TOOLS_CALL] } });
    expect(await watcher.ended()).toMatchObject({ code: Code.PermissionDenied });
    expect(await stream.next()).toBeUndefined();
  });

  describe('on the event stream of an upstream', () => {
    /** Opens the stream and reads its first event. */
    async function listen(replica: GatewayProcess, apiKey: string): Promise<DecisionStream> {
      const stream = await openDecisionStream(callerOf(replica, 'tools-a', apiKey));
      expect(stream).toMatchObject({ status: 200, contentType: 'text/event-stream' });
      const first = await stream.next();
      expect(first).toMatchObject({ event: 'message' });
      expect(JSON.parse(first?.data ?? '')).toEqual({
        jsonrpc: '2.0',
        method: 'notifications/session',
        params: { sessionId: expect.stringMatching(UUID), upstream: 'tools-a' },
      });
      return stream;
    }

    test('follow after notifications/session, as envelopes that explain themselves', async () => {
      const stream = await listen(gateway, gateway.apiKey);
      await callOn(other, 'break', 'a cup', 'tools-a', bob.apiKey);
      const event = await stream.next();
      stream.close();
      const [newest] = (await decisionsOn(gateway).listDecisions({ pageSize: 1 })).decisions;
      expect(event).toMatchObject({ event: 'decision', id: newest?.id });
      expect(JSON.parse(event?.data ?? '')).toEqual({
        type: 'decision',
        id: newest?.id,
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        request_id: expect.stringMatching(UUID),
        upstream: 'tools-a',
        principal: { kind: 'user', id: bob.userId, name: 'bob' },
        key_prefix: bob.apiKey.slice(0, 11),
        method: 'tools/call',
        tool: 'break',
        decision: 'deny',
        reason: 'tool_filter',
        rule_ids: [],
        message: "The tool filter of the upstream 'tools-a' denies 'break'.",
        arguments_digest: newest?.argumentsDigest,
      });
    });

    test('are those of everybody for gateway:read, and the own ones only without it', async () => {
      const all = await listen(gateway, gateway.apiKey);
      const own = await listen(other, bob.apiKey);
      await callOn(gateway, 'look', 'by admin');
      await callOn(gateway, 'look', 'by bob elsewhere', 'tools-b', bob.apiKey);
      await callOn(gateway, 'touch', 'by bob', 'tools-a', bob.apiKey);
      await callOn(gateway, 'break', 'by bob', 'tools-a', bob.apiKey);
      expect([await briefOf(all), await briefOf(all), await briefOf(all)]).toEqual([
        'admin look allow',
        'bob touch allow',
        'bob break deny',
      ]);
      expect([await briefOf(own), await briefOf(own)]).toEqual(['bob touch allow', 'bob break deny']);
      all.close();
      own.close();
    });
  });
});

describe('a server that stops', () => {
  const cleanUp = createCleanUp();

  afterAll(cleanUp.run);

  test('ends a watch with UNAVAILABLE and an event stream in order', async () => {
    const gateway = await cleanUp.startGateway({
      env: { GATEWAY_DATABASE_URL: 'memory://', GATEWAY_DEMO_UPSTREAM: 'false' },
    });
    const upstream = { slug: 'tools-a', transport: streamableHttp('http://127.0.0.1:9/mcp') };
    await apiOf(gateway, UpstreamService).createUpstream(upstream);
    const watcher = createWatcher();
    await watcher.open(apiOf(gateway, DecisionService));
    const stream = await openDecisionStream(callerOf(gateway, 'tools-a'));
    await stream.next();
    const code = gateway.stop();
    expect(await watcher.ended()).toMatchObject({ code: Code.Unavailable });
    expect(await stream.next()).toBeUndefined();
    expect(await code).toBe(0);
  });
});

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function markerOf({ argumentsJson }: Decision): string {
  return (JSON.parse(argumentsJson) as { marker: string }).marker;
}

function hasMarker(marker: string): (decision: Decision) => boolean {
  return (decision) => markerOf(decision) === marker;
}

/** Who called what with which decision, of the next event. */
async function briefOf(stream: DecisionStream): Promise<string> {
  const envelope = JSON.parse((await stream.next())?.data ?? '') as Record<'tool' | 'decision', string> & {
    principal: { name: string };
  };
  return `${envelope.principal.name} ${envelope.tool} ${envelope.decision}`;
}

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Decision } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { DecisionCommit, Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayOptions, GatewayProcess } from '../support/gateway-process.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, type McpAnswer, post, toolCall } from './support-mcp-session.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';
import { replicaEnv } from './support-replicas.ts';
import { createWatcher, readLog, type Watcher } from './support-watch.ts';

const KILLS = 20;
/** Callers at once; each waits for its answer before it calls again. */
const CALLERS = 12;

interface DatabaseKind {
  readonly name: string;
  readonly start: () => Promise<GatewayOptions>;
  /** Keeps every gateway from writing decisions, from another process, until the returned function is called. */
  readonly lockLog: (options: GatewayOptions) => Promise<() => Promise<void>>;
}

const sqlite: DatabaseKind = {
  name: 'SQLite',
  start: async () => ({
    dataDir: await mkdtemp(join(folder, 'data-')),
    env: { GATEWAY_DEMO_UPSTREAM: 'false' },
  }),
  lockLog: async ({ dataDir = '' }) => {
    const database = new DatabaseSync(join(dataDir, 'portcullis.db'));
    database.exec('begin immediate');
    return async () => database.close();
  },
};
const postgres: DatabaseKind = {
  name: 'PostgreSQL',
  start: async () => ({ env: await replicaEnv() }),
  lockLog: async ({ env }) => {
    const client = new pg.Client(env?.['GATEWAY_DATABASE_URL']);
    await client.connect();
    await client.query('begin');
    await client.query('lock table decisions in exclusive mode');
    return () => client.end();
  },
};

let folder: string;
const cleanUp = createCleanUp();

beforeAll(async () => {
  const made = mkdtemp(join(tmpdir(), 'portcullis-kill-'));
  folder = await cleanUp.add(made, () => rm(folder, { recursive: true }));
});

afterAll(cleanUp.run);

describe.concurrent.each([sqlite, postgres])('a gateway on $name', ({ start, lockLog }) => {
  test('killed under load again and again has a decision for every call that reached an upstream or was answered, and a watcher gets each once', {
    timeout: 240_000,
  }, async () => {
    const options = { ...(await start()), apiKey: createApiKey() };
    const strict = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    const late = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    const watcher = createWatcher();
    const traffic = createTraffic();
    let gateway = await cleanUp.startGateway(options);
    const { BEFORE_FORWARD, BEFORE_ANSWER } = DecisionCommit;
    await addUpstream(gateway, 'strict', strict, BEFORE_FORWARD);
    await addUpstream(gateway, 'late', late, BEFORE_ANSWER);
    await watcher.open(apiOf(gateway, DecisionService));
    for (let kill = 1; kill <= KILLS; kill++) {
      const calls = traffic.run(gateway);
      // Another number of calls each time, so that the kills hit other moments of a call and of a commit.
      const target = strict.calls.length + 20 + 7 * (kill % 5);
      await vi.waitUntil(() => strict.calls.length >= target, { timeout: 30_000, interval: 1 });
      await gateway.kill();
      await Promise.all([calls, watcher.ended()]);
      gateway = await cleanUp.startGateway(options);
      await watcher.open(apiOf(gateway, DecisionService));
    }
    await call(gateway, 'strict', 'the last');
    await watcher.sent((decision) => markerOf(decision) === 'the last');

    const log = await readLog(apiOf(gateway, DecisionService));
    const recorded = new Set(log.map(markerOf));
    const reached = strict.calls.map(({ arguments: args }) => (args as { marker: string }).marker);
    expect(reached.filter((marker) => !recorded.has(marker))).toEqual([]);
    expect(traffic.answered.filter((marker) => !recorded.has(marker))).toEqual([]);
    expect(idsOf(watcher)).toEqual(log.map(({ id }) => id));

    // The load was real: calls reached both upstreams, none of them twice or refused, and every kill cut every caller off.
    expect(new Set(reached).size).toBe(reached.length);
    expect(late.calls.length).toBeGreaterThan(KILLS);
    expect(traffic.refused).toEqual([]);
    expect(traffic.cutOff).toBe(KILLS * CALLERS);
  });

  test('that cannot write decisions forwards nothing, or answers nothing where calls may be forwarded before', async () => {
    const options = await start();
    const strict = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    const late = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
    const gateway = await cleanUp.startGateway(options);
    const { BEFORE_FORWARD, BEFORE_ANSWER } = DecisionCommit;
    await addUpstream(gateway, 'strict', strict, BEFORE_FORWARD);
    await addUpstream(gateway, 'late', late, BEFORE_ANSWER);
    await cleanUp.add(lockLog(options), (unlock) => unlock());
    const answers = Promise.allSettled([call(gateway, 'strict', 'one'), call(gateway, 'late', 'two')]);
    await vi.waitUntil(() => late.calls.length > 0, { timeout: 10_000, interval: 1 });
    // Requests without a decision pass, and what they come after would have passed before them.
    for (let turn = 1; turn <= 5; turn++) {
      const { messages } = await post(callerOf(gateway, 'late'), { jsonrpc: '2.0', id: turn, method: 'tools/list' });
      expect(messages).toMatchObject([{ id: turn, result: { tools: [{ name: 'look' }, {}, {}] } }]);
    }
    expect(strict.calls).toEqual([]);
    await gateway.kill();
    expect((await answers).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});

async function addUpstream(
  gateway: GatewayProcess,
  slug: string,
  { url }: RecordingUpstream,
  decisionCommit: DecisionCommit,
): Promise<void> {
  const upstream = { slug, transport: streamableHttp(url), era: Era.LEGACY, decisionCommit };
  await apiOf(gateway, UpstreamService).createUpstream(upstream);
}

/** Callers that go on until the gateway is gone, and what became of their calls. */
function createTraffic() {
  const answered: string[] = [];
  const refused: string[] = [];
  let cutOff = 0;

  async function callUntilCutOff(gateway: GatewayProcess, slug: string): Promise<void> {
    for (;;) {
      const marker = randomUUID();
      const answer = await call(gateway, slug, marker).catch(() => undefined);
      if (answer === undefined) {
        cutOff++;
        return;
      }
      (answer.messages[0]?.['result'] === undefined ? refused : answered).push(marker);
    }
  }

  return {
    answered,
    refused,
    get cutOff() {
      return cutOff;
    },
    /** Resolves when the gateway has cut off every caller. */
    async run(gateway: GatewayProcess): Promise<void> {
      const callers = Array.from({ length: CALLERS }, (_, caller) =>
        callUntilCutOff(gateway, caller % 3 === 0 ? 'late' : 'strict'),
      );
      await Promise.all(callers);
    },
  };
}

/** Throws when the connection broke before the answer was complete. */
function call(gateway: GatewayProcess, slug: string, marker: string): Promise<McpAnswer> {
  return post(callerOf(gateway, slug), toolCall(1, 'look', { marker }));
}

function markerOf({ argumentsJson }: Decision): string {
  return (JSON.parse(argumentsJson) as { marker: string }).marker;
}

function idsOf(watcher: Watcher): string[] {
  return watcher.decisions.map(({ id }) => id);
}

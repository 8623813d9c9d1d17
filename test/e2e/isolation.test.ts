import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { ConnectionSharing, Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { addUserWithKey, apiOf, stdio, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import {
  callerOf,
  endSession,
  openSession,
  post,
  postModern,
  toolCall,
  withoutListChanges,
} from './support-mcp-session.ts';
import { replicaEnv } from './support-replicas.ts';

let gateway: GatewayProcess;
let replica: GatewayProcess;
const cleanUp = createCleanUp();
/** A key of the user `admin` and one of another user. */
let keys: readonly [string, string];

const FAKE_STDIO_PROGRAM = fileURLToPath(new URL('../upstream/fake-stdio-upstream.ts', import.meta.url));

beforeAll(async () => {
  const env = {
    ...(await replicaEnv()),
    GATEWAY_STDIO_COMMANDS: `mcp-server-everything,${process.execPath}`,
  };
  gateway = await cleanUp.startGateway({ env });
  replica = await cleanUp.startGateway({ env, apiKey: gateway.apiKey });
  const everything = await cleanUp.add(serveEverything('streamableHttp'), ({ stop }) => stop());
  const bob = await addUserWithKey(gateway, 'bob', [Scope.TOOLS_CALL]);
  keys = [gateway.apiKey, bob.apiKey];
  const { createUpstream } = apiOf(gateway, UpstreamService);
  const { PER_PRINCIPAL, PER_UPSTREAM } = ConnectionSharing;
  const args = ['stdio'];
  await createUpstream({ slug: 'one-process', transport: stdio('mcp-server-everything', args, PER_UPSTREAM) });
  await createUpstream({ slug: 'own-process', transport: stdio('mcp-server-everything', args, PER_PRINCIPAL) });
  await createUpstream({ slug: 'over-http', transport: streamableHttp(everything.url) });
  const modern = stdio(process.execPath, [FAKE_STDIO_PROGRAM, '--modern'], PER_UPSTREAM);
  await createUpstream({ slug: 'modern-process', transport: modern, era: Era.MODERN });
});

afterAll(cleanUp.run);

/** A number for each of 50 clients. */
const CLIENTS = Array.from({ length: 50 }, (_, index) => index);
const keyOf = (client: number) => keys[client % 2] as string;

const TOOL = 'trigger-long-running-operation';

describe('50 clients at once that use equal ids and progress tokens', () => {
  test.each(['one-process', 'own-process', 'over-http'])(
    'get their own answers and progress only, in sessions on %s',
    { timeout: 60_000 },
    async (slug) => {
      const sessions = await Promise.all(CLIENTS.map((client) => openSession(callerOf(gateway, slug, keyOf(client)))));
      const heard = await Promise.all(
        sessions.map(async (session, client) => {
          const slow = post(
            session,
            toolCall(1, TOOL, { steps: 2 + (client % 3), duration: (300 + client) / 1000 }, { progressToken: 'p' }),
          );
          const quick = post(session, toolCall('1', 'echo', { message: `from ${client}` }));
          return {
            slow: withoutListChanges((await slow).messages),
            quick: withoutListChanges((await quick).messages),
          };
        }),
      );
      const content = (text: string) => ({ content: [{ type: 'text', text }] });
      expect(heard).toEqual(
        CLIENTS.map((client) => {
          const total = 2 + (client % 3);
          const done = `Long running operation completed. Duration: ${(300 + client) / 1000} seconds, Steps: ${total}.`;
          return {
            slow: [
              ...Array.from({ length: total }, (_, step) => progressOf('p', { progress: step + 1, total })),
              { jsonrpc: '2.0', id: 1, result: content(done) },
            ],
            quick: [{ jsonrpc: '2.0', id: '1', result: content(`Echo: from ${client}`) }],
          };
        }),
      );
    },
  );

  test('get their own answers and progress only, without sessions on one process', async () => {
    const heard = await Promise.all(
      CLIENTS.map(async (client) => {
        const args = { client, steps: 2 + (client % 3), everyMs: 20 };
        const call = toolCall(1, 'progress', args, { progressToken: 7 });
        return (await postModern(callerOf(gateway, 'modern-process', keyOf(client)), call)).messages;
      }),
    );
    expect(heard).toEqual(
      CLIENTS.map((client) => {
        const steps = 2 + (client % 3);
        return [
          ...Array.from({ length: steps }, (_, step) => progressOf(7, { progress: step + 1 })),
          { jsonrpc: '2.0', id: 1, result: { client, steps, everyMs: 20 } },
        ];
      }),
    );
  });
});

function progressOf(progressToken: string | number, params: object) {
  return { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, ...params } };
}

const list = { jsonrpc: '2.0', id: 5, method: 'tools/list' };
const call = toolCall(6, 'echo', { message: 'again' });

describe.each(['one-process', 'own-process', 'over-http'])('a session on %s', (slug) => {
  test('is not found by another principal, whatever it sends', async () => {
    const session = await openSession(callerOf(gateway, slug, keys[0]));
    const stolen = { ...session, apiKey: keys[1] };
    expect(await statusesOf(stolen)).toEqual([404, 404, 404]);
    expect(await endSession(stolen)).toBe(404);
    expect(await statusesOf(session)).toEqual([200, 200, 202]);
  });

  test('is not found on another upstream', async () => {
    const session = await openSession(callerOf(gateway, slug, keys[0]));
    expect(await statusesOf({ ...session, url: callerOf(gateway, 'modern-process').url })).toEqual([404, 404, 404]);
  });

  test('is not found on any replica after it has ended', async () => {
    const session = await openSession(callerOf(gateway, slug, keys[0]));
    const elsewhere = { ...session, url: callerOf(replica, slug).url };
    expect(await endSession(session)).toBe(200);
    expect(await statusesOf(session)).toEqual([404, 404, 404]);
    await vi.waitFor(async () => expect(await statusesOf(elsewhere)).toEqual([404, 404, 404]), 5_000);
    expect(await endSession(session)).toBe(404);
  });
});

/** HTTP statuses of a request that is passed on, one that is decided, and a notification. */
async function statusesOf(session: Parameters<typeof post>[0]): Promise<number[]> {
  const answers = [
    await post(session, list),
    await post(session, call),
    await post(session, { jsonrpc: '2.0', method: 'notifications/roots/list_changed' }),
  ];
  return answers.map(({ status }) => status);
}

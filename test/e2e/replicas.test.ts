import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { apiOf, sse, stdio, streamableHttp } from './support-api.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf, openSession, post, toolCall, withoutListChanges } from './support-mcp-session.ts';
import { replicaEnv } from './support-replicas.ts';
import { createWatcher, readLog } from './support-watch.ts';

let env: Record<string, string>;
let first: GatewayProcess;
let second: GatewayProcess;
const cleanUp = createCleanUp();

beforeAll(async () => {
  env = { ...(await replicaEnv()), GATEWAY_STDIO_COMMANDS: 'mcp-server-everything' };
  const apiKey = createApiKey();
  [first, second] = await Promise.all([cleanUp.startGateway({ env, apiKey }), cleanUp.startGateway({ env, apiKey })]);
  const [overHttp, overSse] = await Promise.all([
    cleanUp.add(serveEverything('streamableHttp'), ({ stop }) => stop()),
    cleanUp.add(serveEverything('sse'), ({ stop }) => stop()),
  ]);
  const { createUpstream } = apiOf(first, UpstreamService);
  await createUpstream({ slug: 'over-http', transport: streamableHttp(overHttp.url) });
  await createUpstream({ slug: 'over-sse', transport: sse(overSse.url) });
  await createUpstream({ slug: 'over-stdio', transport: stdio('mcp-server-everything', ['stdio']) });
});

afterAll(cleanUp.run);

test('two replicas that start at the same moment on an empty database make one installation', async () => {
  const firstStarts = [first, second].filter((replica) => replica.output().includes('First start.'));
  expect(firstStarts).toHaveLength(1);
  for (const replica of [first, second]) {
    const { accessToken } = await apiOf(replica, AuthService, 'none').login({
      username: 'admin',
      password: replica.adminPassword,
    });
    const { users } = await apiOf(replica, AuthService, accessToken).listUsers({});
    const { projects } = await apiOf(replica, ProjectService, accessToken).listProjects({});
    const { apiKeys } = await apiOf(replica, ApiKeyService, accessToken).listApiKeys({});
    expect(users.map(({ username }) => username)).toEqual(['admin']);
    expect(projects.map(({ slug }) => slug)).toEqual(['default']);
    expect(apiKeys.map(({ keyPrefix }) => keyPrefix)).toEqual([replica.apiKey.slice(0, 11)]);
  }
});

test('a token of one replica is good on the other', async () => {
  const login = { username: 'admin', password: first.adminPassword };
  const { accessToken } = await apiOf(first, AuthService, 'none').login(login);
  const { caller } = await apiOf(second, AuthService, accessToken).getCaller({});
  expect(caller).toMatchObject({ scopes: [Scope.ADMIN] });
});

test.each(['over-http', 'over-sse', 'over-stdio'])(
  'a session that one replica opened is served by both, request by request, %s',
  async (slug) => {
    await vi.waitFor(async () => expect((await call(second, slug)).status).not.toBe(404), 5_000);
    const session = await openSession(callerOf(first, slug));
    for (let turn = 0; turn < 10; turn++) {
      const { url } = callerOf(turn % 2 === 0 ? second : first, slug);
      const { messages } = await post({ ...session, url }, toolCall(turn, 'echo', { message: `turn ${turn}` }));
      expect(withoutListChanges(messages)).toEqual([
        { jsonrpc: '2.0', id: turn, result: { content: [{ type: 'text', text: `Echo: turn ${turn}` }] } },
      ]);
    }
  },
);

describe('what changes on one replica holds on the other within a second:', () => {
  test('a revoked key', async () => {
    const keys = apiOf(first, ApiKeyService);
    const { apiKey, secret } = await keys.createApiKey({ scopes: [Scope.TOOLS_CALL], grants: { allUpstreams: true } });
    const isAccepted = async () => (await call(second, 'over-http', secret)).status !== 401;
    await vi.waitUntil(isAccepted, { timeout: 5_000, interval: 5 });
    await keys.revokeApiKey({ id: apiKey?.id ?? '' });
    expect(await lastTime(isAccepted)).toBeLessThan(1_000);
    const { status, messages } = await call(second, 'over-http', secret);
    expect([status, messages]).toMatchObject([401, [{ error: { code: 'api_key_revoked' } }]]);
  });

  test('a rule of the policy', async () => {
    const session = await openSession(callerOf(second, 'over-http'));
    const isAllowed = async () => {
      const { messages } = await post(session, toolCall(1, 'get-sum', { a: 1, b: 2 }));
      return messages[0]?.['error'] === undefined;
    };
    expect(await isAllowed()).toBe(true);
    const { createPolicy, deletePolicy } = apiOf(first, PolicyService);
    const kind = { case: 'effect' as const, value: { effect: Effect.DENY } };
    await createPolicy({ slug: 'no-sums', content: { targets: [{ toolPattern: 'get-sum' }], rules: [{ kind }] } });
    expect(await lastTime(isAllowed)).toBeLessThan(1_000);
    await deletePolicy({ policy: { value: { case: 'slug', value: 'no-sums' } } });
  });

  test('a disabled upstream', async () => {
    const { updateUpstream } = apiOf(first, UpstreamService);
    const upstream = { value: { case: 'slug' as const, value: 'over-sse' } };
    const isReached = async () => (await call(second, 'over-sse')).status !== 403;
    expect(await isReached()).toBe(true);
    await updateUpstream({ upstream, enabled: false });
    expect(await lastTime(isReached)).toBeLessThan(1_000);
    await updateUpstream({ upstream, enabled: true });
  });
});

test('watchers on both replicas get the decisions of both, each once and in the same order', async () => {
  const watchers = [createWatcher(), createWatcher()] as const;
  await watchers[0].open(apiOf(first, DecisionService));
  await watchers[1].open(apiOf(second, DecisionService));
  const writers = [first, second, first, second].map(async (replica, writer) => {
    for (let turn = 0; turn < 20; turn++) {
      await call(replica, 'over-http', replica.apiKey, `${writer}/${turn}`);
    }
  });
  await Promise.all(writers);
  await Promise.all(watchers.map((watcher) => watcher.sent(() => watcher.decisions.length >= 80)));
  const log = (await readLog(apiOf(second, DecisionService))).slice(-80).map(({ id }) => id);
  for (const watcher of watchers) {
    await watcher.close();
    expect(watcher.decisions.map(({ id }) => id)).toEqual(log);
  }
});

test('a session outlives the replica that opened it', async () => {
  const session = await openSession(callerOf(first, 'over-http'));
  await first.kill();
  first = await cleanUp.startGateway({ env, apiKey: second.apiKey });
  for (const replica of [second, first]) {
    const { messages } = await post(
      { ...session, url: callerOf(replica, 'over-http').url },
      toolCall(1, 'echo', { message: 'alive' }),
    );
    expect(messages).toMatchObject([{ result: { content: [{ text: 'Echo: alive' }] } }]);
  }
});

/** A call outside of any session; the upstream's own answer to that does not matter here. */
function call(replica: GatewayProcess, slug: string, apiKey = replica.apiKey, message = '') {
  return post(callerOf(replica, slug, apiKey), toolCall(1, 'echo', { message }));
}

/**
 * Asks until the answer is no, and tells how long after the beginning the last question was put that was still answered with yes,
 * in milliseconds: only delays of the gateway count, not those of this process between answer and next question.
 */
async function lastTime(is: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  let last = 0;
  for (;;) {
    const asked = performance.now() - began;
    if (!(await is())) {
      return last;
    }
    last = asked;
  }
}

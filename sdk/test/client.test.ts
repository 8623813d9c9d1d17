import { Code, createRouterTransport } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { createPortcullisClient } from '../src/client.ts';
import { refusal, routesOf, startFakeGateway, tokenExpired } from './fake-gateway.ts';

const getStats = () => ({ stats: { version: '1.2.3' } });

it('reaches every service by its name', async () => {
  const { baseUrl, requests } = await startFakeGateway({
    projects: { listProjects: () => ({}) },
    auth: { getCaller: () => ({ caller: { name: 'ada' } }) },
    apiKeys: { listApiKeys: () => ({}) },
    upstreams: { createUpstream: ({ slug }) => ({ upstream: { slug } }) },
    tools: { callTool: ({ name }) => ({ callId: `called ${name}` }) },
    decisions: { getDecision: ({ id }) => ({ decision: { id } }) },
    policies: { getPolicy: () => ({ policy: { slug: 'no-deletes' } }) },
    approvals: { approveCall: ({ id }) => ({ approval: { id } }) },
    agents: { listAgents: () => ({ agents: [{ slug: 'bot' }] }) },
    stats: { getStats },
  });
  const client = createPortcullisClient({ baseUrl, apiKey: 'pc_1' });

  await client.projects.listProjects({});
  await client.apiKeys.listApiKeys({});
  expect((await client.auth.getCaller({})).caller?.name).toBe('ada');
  expect((await client.upstreams.createUpstream({ slug: 'files' })).upstream?.slug).toBe('files');
  expect((await client.tools.callTool({ name: 'echo' })).callId).toBe('called echo');
  expect((await client.decisions.getDecision({ id: 'd1' })).decision?.id).toBe('d1');
  expect((await client.policies.getPolicy({})).policy?.slug).toBe('no-deletes');
  expect((await client.approvals.approveCall({ id: 'a1' })).approval?.id).toBe('a1');
  expect((await client.agents.listAgents({})).agents.map(({ slug }) => slug)).toEqual(['bot']);
  expect((await client.stats.getStats({})).stats?.version).toBe('1.2.3');
  expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'GET /portcullis.v1.ProjectService/ListProjects',
    'GET /portcullis.v1.ApiKeyService/ListApiKeys',
    'GET /portcullis.v1.AuthService/GetCaller',
    'POST /portcullis.v1.UpstreamService/CreateUpstream',
    'POST /portcullis.v1.ToolService/CallTool',
    'GET /portcullis.v1.DecisionService/GetDecision',
    'GET /portcullis.v1.PolicyService/GetPolicy',
    'POST /portcullis.v1.ApprovalService/ApproveCall',
    'GET /portcullis.v1.AgentService/ListAgents',
    'GET /portcullis.v1.StatsService/GetStats',
  ]);
});

it('sends the ApiKey, the token or nothing, as the options say, and what a call sets itself', async () => {
  const { baseUrl, requests } = await startFakeGateway({ stats: { getStats } });

  await createPortcullisClient({ baseUrl, apiKey: 'pc_1' }).stats.getStats({});
  await createPortcullisClient({ baseUrl, token: 'jwt' }).stats.getStats({});
  await createPortcullisClient({ baseUrl }).stats.getStats({});
  await createPortcullisClient({ baseUrl, apiKey: 'pc_1' }).stats.getStats({}, { headers: { authorization: 'own' } });

  expect(requests.map(({ authorization }) => authorization)).toEqual(['Bearer pc_1', 'Bearer jwt', undefined, 'own']);
});

it('asks a source of credentials before every call', async () => {
  const { baseUrl, requests } = await startFakeGateway({ stats: { getStats } });
  let asked = 0;
  const client = createPortcullisClient({ baseUrl, credentials: async () => `key-${++asked}` });

  await client.stats.getStats({});
  await client.stats.getStats({});

  expect(requests.map(({ authorization }) => authorization)).toEqual(['Bearer key-1', 'Bearer key-2']);
});

it('throws what a source of credentials throws, and sends nothing', async () => {
  const { baseUrl, requests } = await startFakeGateway({ stats: { getStats } });
  const problem = new Error('the vault is closed');
  const client = createPortcullisClient({ baseUrl, credentials: () => Promise.reject(problem) });

  await expect(client.stats.getStats({})).rejects.toBe(problem);
  expect(requests).toEqual([]);
});

it('repeats a call once when the token was refused as expired and there is a newer one', async () => {
  const { baseUrl, requests } = await startFakeGateway({
    tools: {
      callTool: (_, { requestHeader }) => {
        if (requestHeader.get('authorization') === 'Bearer old') throw tokenExpired();
        return { callId: 'c1' };
      },
    },
  });
  const refusedTokens: unknown[] = [];
  const client = createPortcullisClient({
    baseUrl,
    credentials: (refused) => {
      refusedTokens.push(refused);
      return refused === undefined ? 'old' : 'new';
    },
  });

  expect((await client.tools.callTool({ name: 'echo' })).callId).toBe('c1');
  expect(requests.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer new']);
  expect(refusedTokens).toEqual([undefined, 'old']);
});

it('repeats the opening of a stream in the same way', async () => {
  const { baseUrl, requests } = await startFakeGateway({
    decisions: {
      async *watchDecisions({ cursor }, { requestHeader }) {
        if (requestHeader.get('authorization') === 'Bearer old') throw tokenExpired();
        yield { cursor: `${cursor}-1` };
        yield { cursor: `${cursor}-2` };
      },
    },
  });
  const client = createPortcullisClient({ baseUrl, credentials: (refused) => (refused === 'old' ? 'new' : 'old') });

  const cursors: string[] = [];
  for await (const response of client.decisions.watchDecisions({ cursor: 'c' })) {
    cursors.push(response.cursor);
  }
  expect(cursors).toEqual(['c-1', 'c-2']);
  expect(requests.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer new']);
});

it('does not repeat a call when there is no newer token, or for another refusal', async () => {
  const { baseUrl, requests } = await startFakeGateway({
    stats: {
      getStats: () => {
        throw tokenExpired();
      },
    },
    tools: {
      callTool: () => {
        throw refusal(Code.PermissionDenied, 'ERROR_REASON_POLICY_DENIED');
      },
    },
  });
  let made = 0;

  await expect(createPortcullisClient({ baseUrl, token: 'old' }).stats.getStats({})).rejects.toMatchObject({
    reason: 'token_expired',
  });
  await expect(
    createPortcullisClient({ baseUrl, credentials: () => `t${++made}` }).tools.callTool({}),
  ).rejects.toMatchObject({ reason: 'policy_denied' });
  expect(requests.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer t1']);
});

it('sends messages in binary, or as JSON when asked to', async () => {
  const { baseUrl, requests } = await startFakeGateway({ tools: { callTool: () => ({ callId: 'c1' }) } });

  await createPortcullisClient({ baseUrl }).tools.callTool({});
  await createPortcullisClient({ baseUrl, format: 'json' }).tools.callTool({});

  expect(requests.map(({ contentType }) => contentType)).toEqual(['application/proto', 'application/json']);
});

it('ends a call after timeoutMs, and not a stream', async () => {
  const { baseUrl } = await startFakeGateway({
    stats: {
      getStats: async (_, { signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return {};
      },
    },
    decisions: {
      async *watchDecisions() {
        await new Promise((resolve) => setTimeout(resolve, 300));
        yield { cursor: 'late' };
      },
    },
  });
  const client = createPortcullisClient({ baseUrl, timeoutMs: 100 });

  await expect(client.stats.getStats({})).rejects.toMatchObject({ reason: 'canceled', code: Code.DeadlineExceeded });
  await expect(client.stats.getStats({}, { timeoutMs: 50 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  for await (const { cursor } of client.decisions.watchDecisions({})) {
    expect(cursor).toBe('late');
  }
});

it('ends a call that is aborted, also while it waits for its credential', async () => {
  const { baseUrl, requests } = await startFakeGateway({ stats: { getStats } });
  const waiting = createPortcullisClient({ baseUrl, credentials: () => new Promise<string>(() => {}) });
  const aborter = new AbortController();

  const call = waiting.stats.getStats({}, { signal: aborter.signal });
  aborter.abort();

  await expect(call).rejects.toMatchObject({ reason: 'canceled', code: Code.Canceled });
  await expect(waiting.stats.getStats({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    reason: 'canceled',
  });
  await expect(
    createPortcullisClient({ baseUrl }).stats.getStats({}, { signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ reason: 'canceled', code: Code.Canceled });
  expect(requests).toEqual([]);
});

it('works over a transport of the caller, with the same credentials and errors', async () => {
  const transport = createRouterTransport(
    routesOf({
      stats: {
        getStats: (_, { requestHeader }) => ({ stats: { version: requestHeader.get('authorization') ?? '' } }),
      },
      tools: {
        callTool: () => {
          throw refusal(Code.FailedPrecondition, 'ERROR_REASON_APPROVAL_REQUIRED');
        },
      },
    }),
  );
  const client = createPortcullisClient({ transport, apiKey: 'pc_1' });

  expect((await client.stats.getStats({})).stats?.version).toBe('Bearer pc_1');
  await expect(client.tools.callTool({})).rejects.toMatchObject({ reason: 'approval_required' });
});

it('sends through the fetch it is given', async () => {
  const { baseUrl, requests } = await startFakeGateway({ stats: { getStats } });
  const urls: string[] = [];
  const client = createPortcullisClient({
    baseUrl,
    fetch: (input, init) => {
      urls.push(new Request(input).url.replace(/\?.*/, ''));
      return globalThis.fetch(input, init);
    },
  });

  await client.stats.getStats({});

  expect(urls).toEqual([`${baseUrl}/portcullis.v1.StatsService/GetStats`]);
  expect(requests).toHaveLength(1);
});

it('refuses options that can not work at once, and never shows a credential', () => {
  const baseUrl = 'http://127.0.0.1:8000';
  const several = { baseUrl, apiKey: 'pc_1', token: 'jwt' } as unknown as { baseUrl: string };

  expect(() => createPortcullisClient(several)).toThrow('Give one of apiKey, token and credentials, not several.');
  expect(() => createPortcullisClient({ baseUrl, apiKey: '' })).toThrow('The ApiKey or token is empty.');
  expect(() => createPortcullisClient({ baseUrl, apiKey: 'pc_secret\n' })).toThrow(
    /^The ApiKey or token holds characters that none has; check it for spaces and line ends\.$/,
  );
  expect(() => createPortcullisClient({ baseUrl: 'localhost:8000' })).toThrow(
    "The baseUrl 'localhost:8000' must begin with http:// or https://, or in browsers with a slash.",
  );
});

it('never shows a credential that a source gives with a line end', async () => {
  const { baseUrl } = await startFakeGateway({});
  const client = createPortcullisClient({ baseUrl, credentials: () => 'pc_secret\n' });

  await expect(client.stats.getStats({})).rejects.toThrow(/^The ApiKey or token holds characters that none has;/);
});

import { create } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import {
  AuthorizeRequestSchema,
  AuthorizeResponseSchema,
  CallToolRequestSchema,
  ToolService,
} from '../../gen/portcullis/v1/tool_service_pb.ts';
import type { ToolCalls } from '../../src/api/tool-service.ts';
import type { Approval } from '../../src/domain/approval.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import type { CallId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { AuthorizeResult } from '../../src/pipeline/authorize.ts';
import type { OfferedTool } from '../../src/pipeline/tool-calls.ts';
import { createInstallation, type Installation, refusalOf, transportAs } from './installation.ts';

let gateway: Installation;

afterEach(() => gateway?.close());

const echo = {
  upstream: { value: { case: 'slug' as const, value: 'demo' } },
  name: 'echo',
  arguments: { text: 'hello' },
};

const allowed: Decision = {
  id: '0199aaaa-0000-7000-8000-00000000000a' as CallId,
  projectId: 'project' as ProjectId,
  createTime: 1_800_000_000_000,
  requestId: 'request-1',
  face: 'api',
  era: 'legacy',
  principalKind: 'agent',
  principalId: 'bot' as PrincipalId,
  principalName: 'bot',
  upstreamSlug: '',
  method: 'tools/call',
  effect: 'allow',
  reason: 'rule',
  ruleIds: ['payments/small', 'payments/known'],
  message: 'Allowed.',
  requestBytes: 2,
};

function offered(name: string, definition: OfferedTool['definition'], origin: Partial<OfferedTool> = {}): OfferedTool {
  return { name, definition, upstream: { slug: 'demo', version: 'v1' }, upstreamTool: name, ...origin };
}

/** A client of a gateway whose pipeline answers so, and the calls that reached it. */
async function clientOf(answer: unknown, ruling: AuthorizeResult = { decision: allowed }) {
  const seen: unknown[] = [];
  const calls: ToolCalls = {
    async listTools({ signal: _signal, ...request }) {
      seen.push(request);
      return [
        offered('echo', { name: 'echo' }),
        offered(
          'add',
          { name: 'add', title: 'Add' },
          { upstream: { slug: 'sums', version: 'v2' }, upstreamTool: 'plus' },
        ),
      ];
    },
    async callTool({ signal: _signal, authenticate: _authenticate, ...call }) {
      seen.push(call);
      return { callId: 'call-1', result: answer };
    },
    async authorize({ signal: _signal, authenticate: _authenticate, ...call }) {
      seen.push(call);
      return ruling;
    },
  };
  gateway = await createInstallation({ calls });
  return { client: gateway.as(gateway.admin, ToolService), seen };
}

describe('a call of a tool', () => {
  it('goes through the pipeline with its caller and its request id', async () => {
    const { client, seen } = await clientOf({ content: [] });
    await client.callTool(echo);
    expect(seen).toEqual([
      {
        principal: gateway.admin,
        target: { kind: 'upstream', name: 'demo' },
        name: 'echo',
        arguments: { text: 'hello' },
        requestId: 'request-1',
      },
    ]);
  });

  it('answers with typed content', async () => {
    const { client } = await clientOf({
      content: [
        { type: 'text', text: 'hello', annotations: { priority: 1 }, _meta: { trace: 'x' } },
        { type: 'image', data: 'AQID', mimeType: 'image/png' },
        { type: 'audio', data: 'BAUG', mimeType: 'audio/wav' },
        { type: 'resource_link', uri: 'file:///a', name: 'a', size: 9007199254740991 },
        { type: 'resource', resource: { uri: 'file:///b', mimeType: 'text/plain', text: 'b' } },
        { type: 'resource', resource: { uri: 'file:///c', blob: 'Bwg=' } },
        { type: 'hologram', depth: 3 },
        { type: 'image', data: '%%%' },
      ],
      structuredContent: [1, 'two', null],
      isError: true,
      _meta: { cost: 2 },
    });
    const answer = await client.callTool(echo);
    expect(answer).toMatchObject({ callId: 'call-1', isError: true, meta: { cost: 2 } });
    expect(answer.content.map(({ value }) => value)).toMatchObject([
      { case: 'text', value: { text: 'hello' } },
      { case: 'image', value: { data: new Uint8Array([1, 2, 3]), mimeType: 'image/png' } },
      { case: 'audio', value: { data: new Uint8Array([4, 5, 6]), mimeType: 'audio/wav' } },
      { case: 'resourceLink', value: { uri: 'file:///a', name: 'a', size: 9007199254740991n } },
      { case: 'resource', value: { uri: 'file:///b', content: { case: 'text', value: 'b' } } },
      { case: 'resource', value: { uri: 'file:///c', content: { case: 'blob', value: new Uint8Array([7, 8]) } } },
      { case: 'other', value: { type: 'hologram', depth: 3 } },
      { case: 'other', value: { type: 'image', data: '%%%' } },
    ]);
    expect(answer.content[0]).toMatchObject({ annotations: { priority: 1 }, meta: { trace: 'x' } });
    expect(answer.structuredContent?.kind.case).toBe('listValue');
  });

  it('tells null from no structured content', async () => {
    const { client } = await clientOf({ content: [], structuredContent: null });
    expect((await client.callTool(echo)).structuredContent?.kind.case).toBe('nullValue');
    await gateway.close();
    const { client: without } = await clientOf({ content: [] });
    expect((await without.callTool(echo)).structuredContent).toBeUndefined();
  });

  it.each(['garbage', null, [1]])('that is answered with %j is a bad gateway', async (garbage) => {
    const { client } = await clientOf(garbage);
    expect(await refusalOf(client.callTool(echo))).toMatchObject({
      code: 'Unavailable',
      reason: 'ERROR_REASON_BAD_GATEWAY',
      metadata: { call_id: 'call-1' },
    });
  });

  it('that needs input from its client says so', async () => {
    const { client } = await clientOf({ resultType: 'input_required', inputRequests: {} });
    expect(await refusalOf(client.callTool(echo))).toMatchObject({
      code: 'FailedPrecondition',
      metadata: { call_id: 'call-1', condition: 'input_required' },
    });
  });

  it('that is denied names the call and the rule', async () => {
    const denied = new GatewayError('policy_denied', 'Ask Ann.', {
      metadata: { call_id: 'call-1', rule: 'no-deletes' },
    });
    const fail = () => Promise.reject(denied);
    gateway = await createInstallation({ calls: { listTools: fail, callTool: fail, authorize: fail } });
    expect(await refusalOf(gateway.as(gateway.admin, ToolService).callTool(echo))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'ERROR_REASON_POLICY_DENIED',
      message: 'Ask Ann.',
      metadata: { call_id: 'call-1', rule: 'no-deletes' },
    });
  });

  it('that needs approval names the approval and its end', async () => {
    const metadata = {
      call_id: 'call-1',
      rule: 'payments/large',
      approval_id: 'approval-1',
      approval_state: 'pending',
      expires_at: '2027-01-15T08:00:00.000Z',
    };
    const held = new GatewayError('approval_required', 'Ask Ann.', { metadata });
    const fail = () => Promise.reject(held);
    gateway = await createInstallation({ calls: { listTools: fail, callTool: fail, authorize: fail } });
    expect(await refusalOf(gateway.as(gateway.admin, ToolService).callTool(echo))).toMatchObject({
      code: 'FailedPrecondition',
      reason: 'ERROR_REASON_APPROVAL_REQUIRED',
      message: 'Ask Ann.',
      metadata,
    });
  });

  it('can check its credential again, raw: the path of a call records what became of it', async () => {
    const checks: unknown[] = [];
    gateway = await createInstallation({
      calls: {
        listTools: async () => [],
        async callTool({ authenticate }) {
          checks.push(await authenticate());
          return { callId: 'call-1', result: { content: [] } };
        },
        authorize: () => Promise.reject(new Error()),
      },
    });
    const suspended: Principal = { ...gateway.admin, kind: 'agent', agentState: 'suspended' };
    const facts = { caller: gateway.admin, authenticate: () => suspended };
    await createClient(ToolService, transportAs(gateway.api, facts)).callTool(echo);
    expect(checks).toEqual([suspended]);
  });

  it('is refused with numbers that JSON cannot hold', async () => {
    const { client, seen } = await clientOf({ content: [] });
    const request = create(CallToolRequestSchema, { ...echo, arguments: { list: [1, Number.NaN] } });
    const refusal = await refusalOf(client.callTool(request));
    expect(refusal.violations).toMatchObject([{ field: 'arguments' }]);
    expect(seen).toEqual([]);
  });
});

describe('a question about a call that is made elsewhere', () => {
  const bot = { value: { case: 'slug' as const, value: 'bot' } };

  it('goes through the pipeline with all it says', async () => {
    const { client, seen } = await clientOf(undefined);
    await client.authorize({
      agent: bot,
      tool: 'transfer',
      arguments: { amount: 120, to: 'Zoë' },
      session: 's-1',
      upstream: 'bank',
      approvalWait: { seconds: 1n, nanos: 500_000_000 },
    });
    await client.authorize({ agent: { value: { case: 'id', value: gateway.admin.id } }, tool: 'echo' });
    const common = { principal: gateway.admin, requestId: 'request-1' };
    expect(seen).toEqual([
      {
        ...common,
        agent: 'bot',
        tool: 'transfer',
        arguments: { amount: 120, to: 'Zoë' },
        requestBytes: 26,
        session: 's-1',
        upstream: 'bank',
        approvalWaitMs: 1500,
      },
      {
        ...common,
        agent: gateway.admin.id,
        tool: 'echo',
        arguments: {},
        requestBytes: 2,
        session: '',
        upstream: '',
        approvalWaitMs: 0,
      },
    ]);
  });

  it('is answered with the decision in short', async () => {
    const { client } = await clientOf(undefined);
    expect(await client.authorize({ agent: bot, tool: 'transfer' })).toEqual(
      create(AuthorizeResponseSchema, {
        outcome: Effect.ALLOW,
        decisionId: '0199aaaa-0000-7000-8000-00000000000a',
        reason: DecisionReason.RULE,
        ruleIds: ['payments/small', 'payments/known'],
        message: 'Allowed.',
      }),
    );
  });

  it('is answered with the approval to wait for', async () => {
    const decision: Decision = { ...allowed, effect: 'require_approval', message: 'Ask Ann.' };
    const approval = { id: 'approval-1', expireTime: 1_800_000_000_500 } as Approval; // the rest is not shown
    const { client } = await clientOf(undefined, { decision, approval });
    expect(await client.authorize({ agent: bot, tool: 'transfer' })).toMatchObject({
      outcome: Effect.REQUIRE_APPROVAL,
      message: 'Ask Ann.',
      approvalId: 'approval-1',
      approvalExpireTime: { seconds: 1_800_000_000n, nanos: 500_000_000 },
    });
  });

  it.each([
    ['rule', DecisionReason.RULE],
    ['project_default', DecisionReason.PROJECT_DEFAULT],
    ['approval', DecisionReason.APPROVAL],
    ['agent_inactive', DecisionReason.AGENT_INACTIVE],
    ['approvals_exhausted', DecisionReason.APPROVALS_EXHAUSTED],
  ] as const)('tells the reason %s', async (reason, shown) => {
    const { client } = await clientOf(undefined, { decision: { ...allowed, effect: 'deny', reason } });
    expect(await client.authorize({ agent: bot, tool: 'x' })).toMatchObject({ outcome: Effect.DENY, reason: shown });
  });

  it('takes arguments of 64 KiB as JSON, and refuses larger ones', async () => {
    const { client, seen } = await clientOf(undefined);
    // {"text":"…"} has 11 bytes around the text, and é two.
    const ofBytes = (bytes: number) => ({ text: 'é'.repeat((bytes - 12) / 2) + 'e' });
    await client.authorize({ agent: bot, tool: 'x', arguments: ofBytes(65_536) });
    expect(seen).toMatchObject([{ requestBytes: 65_536 }]);
    const refusal = await refusalOf(client.authorize({ agent: bot, tool: 'x', arguments: ofBytes(65_538) }));
    expect(refusal).toMatchObject({
      reason: 'ERROR_REASON_VALIDATION_FAILED',
      violations: [{ field: 'arguments', description: 'must be at most 64 KiB as JSON' }],
    });
    expect(seen).toHaveLength(1);
  });

  it('is refused with numbers that JSON cannot hold', async () => {
    const { client, seen } = await clientOf(undefined);
    for (const amount of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const request = create(AuthorizeRequestSchema, { agent: bot, tool: 'x', arguments: { deep: [{ amount }] } });
      expect(await refusalOf(client.authorize(request))).toMatchObject({
        violations: [{ field: 'arguments', description: 'must not hold NaN or infinite numbers' }],
      });
    }
    expect(seen).toEqual([]);
  });

  it('waits a minute for a human at most', async () => {
    const { client } = await clientOf(undefined);
    const refusal = await refusalOf(client.authorize({ agent: bot, tool: 'x', approvalWait: { seconds: 61n } }));
    expect(refusal.violations).toMatchObject([{ field: 'approval_wait' }]);
  });

  it('leaves no line in the log when it is answered: its Decision has the request id', async () => {
    const { client } = await clientOf(undefined);
    await client.authorize({ agent: bot, tool: 'x' });
    expect(gateway.logLines).toEqual([]);
    await refusalOf(client.authorize({ agent: bot, tool: '' }));
    expect(gateway.logLines).toHaveLength(1);
  });
});

describe('the list of tools', () => {
  it('is in the order of names, page by page', async () => {
    const { client } = await clientOf(undefined);
    const first = await client.listTools({ upstream: echo.upstream, pageSize: 1 });
    expect(first.tools).toMatchObject([
      { name: 'add', title: 'Add', upstreamSlug: 'sums', upstreamVersion: 'v2', upstreamToolName: 'plus' },
    ]);
    const second = await client.listTools({ upstream: echo.upstream, pageToken: first.nextPageToken });
    expect(second).toMatchObject({
      tools: [{ name: 'echo', upstreamSlug: 'demo', upstreamVersion: 'v1', upstreamToolName: 'echo' }],
      nextPageToken: '',
    });
  });

  it('goes on with its own page token only, not with one of the other kind or version', async () => {
    const { client } = await clientOf(undefined);
    const { nextPageToken: pageToken } = await client.listTools({ upstream: echo.upstream, pageSize: 1 });
    for (const other of [{ gateway: echo.upstream }, { upstream: { ...echo.upstream, version: 'v2' } }]) {
      expect(await refusalOf(client.listTools({ ...other, pageToken }))).toMatchObject({
        reason: 'ERROR_REASON_PAGE_TOKEN_INVALID',
      });
    }
  });
});

describe('what is asked for tools', () => {
  const id = '0199aaaa-0000-7000-8000-00000000000b';
  const slug = { value: { case: 'slug' as const, value: 'demo' } };
  const byId = { value: { case: 'id' as const, value: id }, version: 'v7' };

  it.each([
    [{ upstream: slug }, { kind: 'upstream', name: 'demo' }],
    [{ upstream: { ...slug, version: 'v1' } }, { kind: 'upstream', name: 'demo' }],
    [{ upstream: { ...slug, version: 'v2' } }, { kind: 'upstream', name: 'demo@v2' }],
    [{ upstream: byId }, { kind: 'upstream', name: id }],
    [{ gateway: slug }, { kind: 'gateway', name: 'demo' }],
    [{ gateway: { ...slug, version: 'v2' } }, { kind: 'gateway', name: 'demo@v2' }],
    [{ gateway: byId }, { kind: 'gateway', name: id }],
  ])('is, with %j, %j', async (named, target) => {
    const { client, seen } = await clientOf({ content: [] });
    await client.listTools(named);
    await client.callTool({ ...named, name: 'echo' });
    expect(seen).toMatchObject([{ target }, { target, name: 'echo' }]);
  });

  it.each([{}, { upstream: slug, gateway: slug }])('is refused with %j', async (named) => {
    const { client, seen } = await clientOf({ content: [] });
    expect(await refusalOf(client.listTools(named))).toMatchObject({ code: 'InvalidArgument' });
    expect(await refusalOf(client.callTool({ ...named, name: 'echo' }))).toMatchObject({ code: 'InvalidArgument' });
    expect(seen).toEqual([]);
  });
});

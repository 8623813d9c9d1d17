import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Decision, DecisionReason, OutcomeStatus } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { RecordedArguments } from '../../gen/portcullis/v1/project_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type Answer, send } from './bad-http-client.ts';
import {
  addKey,
  type BadInputInstallation,
  GOOD_CALL,
  mcpHeaders,
  startBadInputInstallation,
} from './bad-installation.ts';
import { apiOf } from './support-api.ts';

let installation: BadInputInstallation;

beforeAll(async () => {
  installation = await startBadInputInstallation();
});

afterAll(() => installation?.stop());

function post(body: string, slug = 'plain', apiKey = installation.gateway.apiKey): Promise<Answer> {
  return send(installation.gateway.port, { path: `/v1/mcp/${slug}`, headers: mcpHeaders(apiKey), body });
}

/** Makes requests and returns the decisions that were recorded of them, oldest first. */
async function recordedBy(requests: () => Promise<unknown>): Promise<Decision[]> {
  const decisions = apiOf(installation.gateway, DecisionService);
  const before = await decisions.listDecisions({ pageSize: 250 });
  await requests();
  const after = await decisions.listDecisions({ pageSize: 250 });
  return after.decisions.slice(0, after.decisions.length - before.decisions.length).toReversed();
}

const request = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

test('[PD-RECORDED] calls of tools, gets of prompts and reads of resources are recorded, and what is unknown too', async () => {
  const recorded = await recordedBy(async () => {
    await post(request('tools/call', { name: 'look' }));
    await post(request('prompts/get', { name: 'greet' }));
    await post(request('resources/read', { uri: 'file:///a' }));
    await post(request('no/such', {}));
    await apiOf(installation.gateway, ToolService).callTool({
      upstream: { value: { case: 'slug', value: 'plain' } },
      name: 'touch',
    });
  });
  expect(recorded.map(({ method, tool, effect, reason }) => [method, tool, effect, reason])).toEqual([
    ['tools/call', 'look', Effect.ALLOW, DecisionReason.PROJECT_DEFAULT],
    ['prompts/get', 'greet', Effect.ALLOW, DecisionReason.PROJECT_DEFAULT],
    ['resources/read', 'file:///a', Effect.ALLOW, DecisionReason.PROJECT_DEFAULT],
    ['no/such', '', Effect.ALLOW, DecisionReason.PROJECT_DEFAULT],
    ['tools/call', 'touch', Effect.ALLOW, DecisionReason.PROJECT_DEFAULT],
  ]);
});

test('[PD-RECORDED] every refusal of a known caller is recorded with its reason', async () => {
  const upstreams = apiOf(installation.gateway, UpstreamService);
  const plain = { value: { case: 'slug' as const, value: 'plain' } };
  await upstreams.updateUpstream({ upstream: plain, toolFilter: { deniedTools: ['break'] } });
  const reader = await addKey(installation.gateway, { scopes: [Scope.GATEWAY_READ] });
  const limited = await addKey(installation.gateway, { upstreamIds: [installation.ids.plain] });
  const recorded = await recordedBy(async () => {
    await post(request('tools/call', { name: 'break' }));
    await post(GOOD_CALL, 'no-such');
    await post(GOOD_CALL, 'off');
    await post(GOOD_CALL, 'plain', reader.secret);
    await post(GOOD_CALL, 'other', limited.secret);
  });
  expect(recorded.map(({ reason, effect, upstreamSlug }) => [reason, effect, upstreamSlug])).toEqual([
    [DecisionReason.TOOL_FILTER, Effect.DENY, 'plain'],
    [DecisionReason.UPSTREAM_NOT_FOUND, Effect.DENY, 'no-such'],
    [DecisionReason.UPSTREAM_DISABLED, Effect.DENY, 'off'],
    [DecisionReason.SCOPE, Effect.DENY, 'plain'],
    [DecisionReason.GRANT, Effect.DENY, 'other'],
  ]);
});

test('[PD-RECORDED] lists, pings, notifications and strangers leave no decision', async () => {
  const recorded = await recordedBy(async () => {
    await post(request('initialize', { protocolVersion: '2025-11-25' }));
    await post(request('tools/list', {}));
    await post(request('ping', {}));
    await post('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    await post(GOOD_CALL, 'plain', 'nobody');
    await post('{');
  });
  expect(recorded).toEqual([]);
});

test('[PD-RECORDED] the outcome of a call follows its decision', async () => {
  const [decision] = await recordedBy(() => post(GOOD_CALL));
  const decisions = apiOf(installation.gateway, DecisionService);
  const read = async () => (await decisions.getDecision({ id: decision?.id ?? '' })).decision?.outcome;
  await expect.poll(async () => (await read())?.status, { timeout: 10_000 }).toBe(OutcomeStatus.OK);
  expect((await read())?.responseBytes).toBe(101n);
});

test('[PD-RECORDED-ARGUMENTS] a project records arguments not at all, masked, or in full, and their digest always', async () => {
  const projects = apiOf(installation.gateway, ProjectService);
  const call =
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{"password":"hunter2","b":12345678901234567890,"a":1}}}';
  const exact = '{"a":1,"b":12345678901234567890,"password":"hunter2"}';
  const digest = `sha256:${createHash('sha256').update(exact).digest('hex')}`;
  const cases = [
    [RecordedArguments.NONE, '', false],
    [RecordedArguments.REDACTED, '{"password":"[redacted]","b":12345678901234567890,"a":1}', true],
    [RecordedArguments.FULL, exact, false],
  ] as const;
  for (const [recordedArguments, json, redacted] of cases) {
    await projects.updateProject({ recordedArguments });
    const [decision] = await recordedBy(() => post(call));
    expect([decision?.argumentsDigest, decision?.argumentsJson, decision?.argumentsRedacted]).toEqual([
      digest,
      json,
      redacted,
    ]);
  }
});

test('[PD-RECORDED-ARGUMENTS] masked arguments are cut at 4 KiB', async () => {
  await apiOf(installation.gateway, ProjectService).updateProject({ recordedArguments: RecordedArguments.REDACTED });
  const [decision] = await recordedBy(() =>
    post(request('tools/call', { name: 'look', arguments: { text: 'ü'.repeat(100_000) } })),
  );
  expect(decision?.argumentsRedacted).toBe(true);
  expect(Buffer.byteLength(decision?.argumentsJson ?? '')).toBeLessThan(2.5 * 4096);
  expect(JSON.parse(decision?.argumentsJson ?? '')).toHaveProperty('truncated');
});

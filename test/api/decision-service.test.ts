import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DecisionReason, Face, OutcomeStatus } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionService, type WatchDecisionsResponse } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { toOutcomeRow, toRow } from '../../src/decisions/decision-row.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { type ApprovalId, type CallId, newId, type PolicyId, type UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createInstallation, type Installation, refusalOf, take } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const UPSTREAM = '0199aaaa-0000-7000-8000-000000000001' as UpstreamId;
const OTHER_UPSTREAM = '0199aaaa-0000-7000-8000-000000000002' as UpstreamId;

function decisionOf(caller: Principal, changes: Partial<Decision> = {}): Decision {
  return {
    id: newId<CallId>(),
    projectId: caller.projectId,
    createTime: 1_790_000_000_123,
    requestId: 'request-7',
    face: 'mcp',
    era: 'legacy',
    principalKind: 'user',
    principalId: caller.id,
    principalName: caller.name,
    upstreamId: UPSTREAM,
    upstreamSlug: 'demo',
    method: 'tools/call',
    tool: 'echo',
    effect: 'allow',
    reason: 'rule',
    ruleIds: ['echo-is-fine'],
    message: '',
    argumentsDigest: 'sha256:00',
    argumentsJson: '{"id":12345678901234567890}',
    argumentsRedacted: false,
    requestBytes: 120,
    ...changes,
  };
}

async function record(...decisions: Decision[]): Promise<void> {
  await gateway.store.log.append({ decisions: decisions.map(toRow), outcomes: [] });
}

describe('a decision', () => {
  it('is told with everything that explains it', async () => {
    const decision = decisionOf(gateway.admin);
    const outcome = {
      decisionId: decision.id,
      endTime: 1_790_000_000_500,
      status: 'ok',
      latencyMicros: 2_300_450,
      responseBytes: 80,
    } as const;
    await gateway.store.log.append({ decisions: [toRow(decision)], outcomes: [toOutcomeRow(outcome)] });
    const answer = await gateway.as(gateway.admin, DecisionService).getDecision({ id: decision.id });
    expect(answer.decision).toMatchObject({
      id: decision.id,
      createTime: { seconds: 1_790_000_000n, nanos: 123_000_000 },
      requestId: 'request-7',
      face: Face.MCP,
      principal: { id: gateway.admin.id, name: 'admin', apiKeyId: '' },
      upstreamId: UPSTREAM,
      upstreamSlug: 'demo',
      tool: 'echo',
      effect: Effect.ALLOW,
      reason: DecisionReason.RULE,
      ruleIds: ['echo-is-fine'],
      argumentsJson: '{"id":12345678901234567890}',
      requestBytes: 120n,
      outcome: { status: OutcomeStatus.OK, latency: { seconds: 2n, nanos: 300_450_000 }, responseBytes: 80n },
    });
  });

  it('has an unknown outcome until one is recorded, and none when nothing was forwarded', async () => {
    const [allowed, denied] = [decisionOf(gateway.admin), decisionOf(gateway.admin, { effect: 'deny' })];
    await record(allowed, denied);
    const client = gateway.as(gateway.admin, DecisionService);
    expect((await client.getDecision({ id: allowed.id })).decision?.outcome?.status).toBe(OutcomeStatus.UNKNOWN);
    expect((await client.getDecision({ id: denied.id })).decision?.outcome).toBeUndefined();
  });

  it('has no outcome when the call was made elsewhere', async () => {
    const { upstreamId: _upstreamId, ...elsewhere } = decisionOf(gateway.admin, { face: 'api', upstreamSlug: '' });
    await record(elsewhere);
    const { decision } = await gateway.as(gateway.admin, DecisionService).getDecision({ id: elsewhere.id });
    expect(decision).toMatchObject({ effect: Effect.ALLOW, upstreamId: '', upstreamSlug: '' });
    expect(decision?.outcome).toBeUndefined();
  });

  it('explains itself with policies, failures, shadows, approval and session', async () => {
    const policy = { id: '0199aaaa-0000-7000-8000-0000000000aa' as PolicyId, slug: 'payments', version: 3 };
    const failure = {
      ruleId: 'payments/limit',
      path: 'items[1].amount',
      check: 'maximum',
      expected: '100',
      actual: '120',
    };
    const decision = decisionOf(gateway.admin, {
      effect: 'require_approval',
      ruleIds: ['payments/limit'],
      policies: [policy],
      failures: [failure],
      shadow: [
        {
          policy: { ...policy, slug: 'strict', version: 1 },
          effect: 'deny',
          ruleIds: ['strict/all'],
          message: 'No.',
          failures: [{ ...failure, ruleId: 'strict/all' }],
        },
      ],
      approvalId: '0199aaaa-0000-7000-8000-0000000000bb' as ApprovalId,
      session: 'session-1',
    });
    await record(decision);
    const answer = await gateway.as(gateway.admin, DecisionService).getDecision({ id: decision.id });
    expect(answer.decision).toMatchObject({
      effect: Effect.REQUIRE_APPROVAL,
      policies: [{ policyId: policy.id, slug: 'payments', version: 3 }],
      failures: [failure],
      shadowResults: [
        {
          policy: { policyId: policy.id, slug: 'strict', version: 1 },
          effect: Effect.DENY,
          ruleIds: ['strict/all'],
          message: 'No.',
          failures: [{ ...failure, ruleId: 'strict/all' }],
        },
      ],
      approvalId: '0199aaaa-0000-7000-8000-0000000000bb',
      session: 'session-1',
    });
  });

  it('of another project, or of an upstream that is not granted, looks like one that does not exist', async () => {
    const decision = decisionOf(gateway.admin);
    await record(decision);
    for (const caller of [gateway.otherAdmin, { ...gateway.admin, grants: new Set([OTHER_UPSTREAM]) }]) {
      expect(await refusalOf(gateway.as(caller, DecisionService).getDecision({ id: decision.id }))).toMatchObject({
        code: 'PermissionDenied',
        message: `The credential has no access to the decision "${decision.id}" (or it might not exist).`,
      });
    }
  });
});

describe('the list of decisions', () => {
  it('is newest first, filtered and paged', async () => {
    const echoes = Array.from({ length: 3 }, (_, index) => decisionOf(gateway.admin, { createTime: 1000 + index }));
    const denied = decisionOf(gateway.admin, {
      effect: 'deny',
      tool: 'rm',
      upstreamId: OTHER_UPSTREAM,
      createTime: 2000,
    });
    await record(...echoes, denied, decisionOf(gateway.otherAdmin));
    const client = gateway.as(gateway.admin, DecisionService);
    const ids = async (request: Parameters<typeof client.listDecisions>[0]) =>
      (await client.listDecisions(request)).decisions.map(({ id }) => id);
    const newestFirst = [denied, ...echoes.toReversed()].map(({ id }) => id);
    expect(await ids({})).toEqual(newestFirst);
    expect(await ids({ filter: { effect: Effect.DENY } })).toEqual([denied.id]);
    expect(await ids({ filter: { tool: 'rm' } })).toEqual([denied.id]);
    expect(await ids({ filter: { upstreamId: OTHER_UPSTREAM } })).toEqual([denied.id]);
    expect(await ids({ filter: { principalId: OTHER_UPSTREAM } })).toEqual([]);
    expect(await ids({ startTime: timestampFromMs(1001), endTime: timestampFromMs(2000) })).toEqual(
      newestFirst.slice(1, 3),
    );
    const first = await client.listDecisions({ pageSize: 3 });
    expect(await ids({ pageSize: 3, pageToken: first.nextPageToken })).toEqual(newestFirst.slice(3));
  });

  it('needs an upstream in the filter when the grants name upstreams', async () => {
    await record(decisionOf(gateway.admin));
    const client = gateway.as({ ...gateway.admin, grants: new Set([UPSTREAM]) }, DecisionService);
    expect((await client.listDecisions({ filter: { upstreamId: UPSTREAM } })).decisions).toHaveLength(1);
    for (const filter of [{}, { upstreamId: OTHER_UPSTREAM }]) {
      expect(await refusalOf(client.listDecisions({ filter }))).toMatchObject({ code: 'PermissionDenied' });
      const watch = client.watchDecisions({ filter })[Symbol.asyncIterator]();
      expect(await refusalOf(watch.next())).toMatchObject({ code: 'PermissionDenied' });
    }
  });
});

describe('a watch of decisions', () => {
  const idOf = ({ value }: WatchDecisionsResponse) => (value.case === 'decision' ? value.value.id : value.case);

  /** The next decisions of a watch, checkpoints left out, and the cursor after them. */
  async function next(count: number, request: { cursor?: string; filter?: object }) {
    const ids: (string | undefined)[] = [];
    let cursor = '';
    for await (const response of gateway.as(gateway.admin, DecisionService).watchDecisions(request)) {
      cursor = response.cursor;
      if (response.value.case === 'decision') {
        ids.push(response.value.value.id);
      }
      if (ids.length === count) {
        break;
      }
    }
    return { ids, cursor };
  }

  it('begins now, and says at once that it is alive', async () => {
    await record(decisionOf(gateway.admin));
    const [first] = await take(gateway.as(gateway.admin, DecisionService).watchDecisions({}), 1);
    expect(first && idOf(first)).toBe('checkpoint');
    expect(first?.cursor).not.toBe('');
  });

  it('sends checkpoints while nothing happens', async () => {
    const responses = await take(gateway.as(gateway.admin, DecisionService).watchDecisions({}), 3);
    expect(responses.map(idOf)).toEqual(['checkpoint', 'checkpoint', 'checkpoint']);
  });

  it('goes on after any of its cursors, each decision once', async () => {
    const [start] = await take(gateway.as(gateway.admin, DecisionService).watchDecisions({}), 1);
    const decisions = Array.from({ length: 5 }, () => decisionOf(gateway.admin));
    await record(...decisions.slice(0, 3));
    const first = await next(2, { cursor: start?.cursor ?? '' });
    await record(decisionOf(gateway.otherAdmin), ...decisions.slice(3));
    const second = await next(3, { cursor: first.cursor });
    expect([...first.ids, ...second.ids]).toEqual(decisions.map(({ id }) => id));
  });

  it('sends only what fits the filter', async () => {
    const filter = { effect: Effect.DENY };
    const [start] = await take(gateway.as(gateway.admin, DecisionService).watchDecisions({ filter }), 1);
    const denied = decisionOf(gateway.admin, { effect: 'deny' });
    await record(decisionOf(gateway.admin), denied, decisionOf(gateway.otherAdmin, { effect: 'deny' }));
    expect((await next(1, { cursor: start?.cursor ?? '', filter })).ids).toEqual([denied.id]);
  });

  it('is refused for a filter that breaks the rules', async () => {
    const watch = gateway.as(gateway.admin, DecisionService).watchDecisions({ filter: { principalId: 'ann' } });
    expect(await refusalOf(watch[Symbol.asyncIterator]().next())).toMatchObject({
      code: 'InvalidArgument',
      violations: [{ field: 'filter.principal_id' }],
    });
  });

  it('tells what is wrong with a cursor', async () => {
    const refused = async (caller: Principal, request: { cursor: string; filter?: object }) =>
      refusalOf(gateway.as(caller, DecisionService).watchDecisions(request)[Symbol.asyncIterator]().next());
    await record(decisionOf(gateway.admin), decisionOf(gateway.admin));
    const [start] = await take(gateway.as(gateway.admin, DecisionService).watchDecisions({}), 1);
    const cursor = start?.cursor ?? '';
    expect(await refused(gateway.admin, { cursor: 'nonsense' })).toMatchObject({
      code: 'InvalidArgument',
      reason: 'ERROR_REASON_CURSOR_INVALID',
      metadata: { cause: 'malformed' },
    });
    const other = { reason: 'ERROR_REASON_CURSOR_INVALID', metadata: { cause: 'other_filter' } };
    expect(await refused(gateway.admin, { cursor, filter: { tool: 'echo' } })).toMatchObject(other);
    expect(await refused(gateway.otherAdmin, { cursor })).toMatchObject(other);
    const { admin, ...rest } = gateway;
    gateway = await createInstallation();
    await rest.close();
    const sameProject = { ...gateway.admin, projectId: admin.projectId };
    expect(await refused(sameProject, { cursor })).toMatchObject({ metadata: { cause: 'other_log' } });
  });

  it('ends with a reason when the server stops', async () => {
    await gateway.close();
    const stop = new AbortController();
    gateway = await createInstallation({}, { shutdownSignal: stop.signal });
    const watch = gateway.as(gateway.admin, DecisionService).watchDecisions({})[Symbol.asyncIterator]();
    await watch.next();
    stop.abort();
    const refusal = await refusalOf(
      (async () => {
        while (!(await watch.next()).done) {
          // checkpoints that were on their way
        }
      })(),
    );
    expect(refusal).toMatchObject({ code: 'Unavailable', reason: 'ERROR_REASON_UNAVAILABLE' });
  });
});

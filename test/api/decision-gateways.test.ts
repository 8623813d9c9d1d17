import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { toRow } from '../../src/decisions/decision-row.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { type CallId, type GatewayId, newId, type UpstreamId } from '../../src/domain/ids.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const UPSTREAM = '0199aaaa-0000-7000-8000-000000000001' as UpstreamId;
const SHARED = '0199aaaa-0000-7000-8000-000000000011' as GatewayId;
const OTHER = '0199aaaa-0000-7000-8000-000000000012' as GatewayId;

function decisionOf(changes: Partial<Decision> = {}): Decision {
  const { admin } = gateway;
  return {
    id: newId<CallId>(),
    projectId: admin.projectId,
    createTime: 1_790_000_000_123,
    requestId: 'request-7',
    face: 'mcp',
    era: 'legacy',
    principalKind: 'user',
    principalId: admin.id,
    principalName: admin.name,
    upstreamId: UPSTREAM,
    upstreamSlug: 'demo',
    upstreamVersion: 'v2',
    method: 'tools/call',
    tool: 'echo',
    effect: 'allow',
    reason: 'rule',
    ruleIds: [],
    message: '',
    requestBytes: 120,
    ...changes,
  };
}

const through = (gatewayId: GatewayId, gatewaySlug = 'shared'): Partial<Decision> => ({ gatewayId, gatewaySlug });

async function record(...decisions: Decision[]): Promise<void> {
  await gateway.store.log.append({ decisions: decisions.map(toRow), outcomes: [] });
}

describe('a decision about a call through a gateway', () => {
  it('names the gateway and the version of the upstream', async () => {
    const [direct, composed] = [decisionOf(), decisionOf(through(SHARED, 'shared@v3'))];
    const old = decisionOf();
    const { upstreamVersion: _none, ...beforeVersions } = old;
    await record(direct, composed, beforeVersions);
    const client = gateway.as(gateway.admin, DecisionService);
    expect((await client.getDecision({ id: composed.id })).decision).toMatchObject({
      upstreamId: UPSTREAM,
      upstreamSlug: 'demo',
      upstreamVersion: 'v2',
      gatewayId: SHARED,
      gatewaySlug: 'shared@v3',
    });
    const none = { gatewayId: '', gatewaySlug: '' };
    expect((await client.getDecision({ id: direct.id })).decision).toMatchObject({ upstreamVersion: 'v2', ...none });
    expect((await client.getDecision({ id: old.id })).decision).toMatchObject({ upstreamVersion: '', ...none });
  });

  it('tells that the gateway offers nothing of the name', async () => {
    const {
      upstreamId: _none,
      upstreamVersion: _nor,
      ...refused
    } = decisionOf({
      ...through(SHARED),
      upstreamSlug: 'shared',
      tool: 'no_such',
      effect: 'deny',
      reason: 'not_offered',
    });
    await record(refused);
    const { decision } = await gateway.as(gateway.admin, DecisionService).getDecision({ id: refused.id });
    expect(decision).toMatchObject({ reason: DecisionReason.NOT_OFFERED, upstreamId: '', gatewayId: SHARED });
  });

  it('is found by the gateway, page by page, and watched by it', async () => {
    const wanted = Array.from({ length: 3 }, () => decisionOf(through(SHARED)));
    const [one, two, three] = wanted.map(({ id }) => id);
    const [first, second, third] = wanted as [Decision, Decision, Decision];
    await record(decisionOf(), first, decisionOf(through(OTHER)), second, decisionOf(), third, decisionOf());
    const client = gateway.as(gateway.admin, DecisionService);
    const filter = { gatewayId: SHARED };
    const page = await client.listDecisions({ filter, pageSize: 2 });
    expect(page.decisions.map(({ id }) => id)).toEqual([three, two]);
    const rest = await client.listDecisions({ filter, pageSize: 2, pageToken: page.nextPageToken });
    expect(rest).toMatchObject({ decisions: [{ id: one }], nextPageToken: '' });
    expect((await client.listDecisions({ filter: { ...filter, tool: 'rm' } })).decisions).toEqual([]);
    expect(await refusalOf(client.listDecisions({ pageToken: page.nextPageToken }))).toMatchObject({
      reason: 'ERROR_REASON_PAGE_TOKEN_INVALID',
    });

    const watched = decisionOf(through(SHARED));
    const watch = client.watchDecisions({ filter })[Symbol.asyncIterator]();
    expect((await watch.next()).value?.value.case).toBe('checkpoint');
    await record(decisionOf(), decisionOf(through(OTHER)), watched);
    let next = await watch.next();
    while (next.value?.value.case === 'checkpoint') next = await watch.next();
    expect(next.value?.value.value.id).toBe(watched.id);
    await watch.return?.();
  });
});

describe('decisions, for a credential whose grants name a gateway,', () => {
  it('are those of calls through it, when the filter names it', async () => {
    const [direct, composed, elsewhere] = [decisionOf(), decisionOf(through(SHARED)), decisionOf(through(OTHER))];
    await record(direct, composed, elsewhere);
    const limited = { ...gateway.admin, grants: new Set<UpstreamId>(), gatewayGrants: new Set([SHARED]) };
    const client = gateway.as(limited, DecisionService);
    expect((await client.listDecisions({ filter: { gatewayId: SHARED } })).decisions.map(({ id }) => id)).toEqual([
      composed.id,
    ]);
    expect((await client.getDecision({ id: composed.id })).decision?.id).toBe(composed.id);
    for (const { id } of [direct, elsewhere]) {
      expect(await refusalOf(client.getDecision({ id }))).toMatchObject({ code: 'PermissionDenied' });
    }
    for (const filter of [{}, { upstreamId: UPSTREAM }, { gatewayId: OTHER }]) {
      const refusal = {
        code: 'PermissionDenied',
        message:
          'The grants of the credential name upstreams or gateways. Set filter.upstream_id or filter.gateway_id to one of them to see its decisions.',
      };
      expect(await refusalOf(client.listDecisions({ filter }))).toMatchObject(refusal);
      const watch = client.watchDecisions({ filter })[Symbol.asyncIterator]();
      expect(await refusalOf(watch.next())).toMatchObject(refusal);
    }
  });

  it('are also those about an upstream that is granted, through whichever gateway the calls came', async () => {
    const composed = decisionOf(through(OTHER));
    await record(decisionOf({ upstreamId: newId<UpstreamId>() }), composed);
    const client = gateway.as({ ...gateway.admin, grants: new Set([UPSTREAM]) }, DecisionService);
    for (const filter of [{ upstreamId: UPSTREAM }, { upstreamId: UPSTREAM, gatewayId: OTHER }]) {
      expect((await client.listDecisions({ filter })).decisions.map(({ id }) => id)).toEqual([composed.id]);
    }
    expect((await client.getDecision({ id: composed.id })).decision?.gatewayId).toBe(OTHER);
  });
});

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { PolicyService, type SimulatePolicyRequestSchema } from '../../gen/portcullis/v1/policy_service_pb.ts';
import type { Decision } from '../../src/domain/decision.ts';
import type { CallId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { SimulationCounts, SimulationEvent, SimulationRequest } from '../../src/pipeline/simulation.ts';
import { createInstallation, type Installation, refusalOf, take, withRights } from './installation.ts';

let gateway: Installation;
let reader: Principal;
let seen: SimulationRequest[];
let simulate: (request: SimulationRequest) => AsyncGenerator<SimulationEvent>;

beforeEach(async () => {
  seen = [];
  simulate = async function* () {};
  gateway = await createInstallation({
    simulate(request) {
      seen.push(request);
      return simulate(request);
    },
  });
  reader = withRights(gateway.admin, 'gateway:read');
  const client = gateway.as(gateway.admin, PolicyService);
  for (const slug of ['first', 'second']) {
    await client.createPolicy({ slug, content: deny });
  }
  await client.updatePolicy({ policy: bySlug('second'), change: { case: 'draft', value: allow } });
});
afterEach(() => gateway.close());

const bySlug = (slug: string) => ({ value: { case: 'slug' as const, value: slug } });
const effect = (value: Effect) => ({ id: 'all', kind: { case: 'effect' as const, value: { effect: value } } });
const deny = { targets: [{ toolPattern: '*' }], rules: [effect(Effect.DENY)] };
const allow = { targets: [{ toolPattern: '*' }], rules: [effect(Effect.ALLOW)] };
const broken = {
  targets: [{ toolPattern: '*' }],
  rules: [{ ...effect(Effect.DENY) }, { kind: { case: 'tools' as const, value: {} } }],
};

const run = (request: MessageInitShape<typeof SimulatePolicyRequestSchema>, caller = reader) =>
  take(gateway.as(caller, PolicyService).simulatePolicy(request), Number.POSITIVE_INFINITY);

const tried = () =>
  seen[0]?.policies.map(({ slug, version, content }) => [slug, version, content.rules.map(({ says }) => says)]).sort();

const says = (value: string) => [{ kind: 'effect', effect: value }];

describe('a simulation', () => {
  it('of a draft adds it to the policies there are', async () => {
    await run({ candidate: { case: 'draft', value: allow } });
    expect(tried()).toEqual([
      ['draft', 1, says('allow')],
      ['first', 1, says('deny')],
      ['second', 1, says('deny')],
    ]);
    expect(seen[0]).toMatchObject({ projectId: gateway.admin.projectId });
    expect(seen[0]).not.toHaveProperty('startTime');
  });

  it('of content for a policy puts it in the place of what is in force', async () => {
    await run({ policy: bySlug('second'), candidate: { case: 'draft', value: allow } });
    expect(tried()).toEqual([
      ['first', 1, says('deny')],
      ['second', 3, says('allow')],
    ]);
  });

  it('of a version takes it from the history', async () => {
    await run({ policy: bySlug('second'), candidate: { case: 'version', value: 2 } });
    expect(tried()).toEqual([
      ['first', 1, says('deny')],
      ['second', 2, says('allow')],
    ]);
  });

  it('is asked for a time and a filter', async () => {
    await run({
      candidate: { case: 'draft', value: allow },
      startTime: timestampFromMs(1_800_000_000_123),
      endTime: timestampFromMs(1_800_000_001_000),
      filter: { tool: 'echo' },
    });
    expect(seen[0]).toMatchObject({ startTime: 1_800_000_000_123, endTime: 1_800_000_001_000 });
    const decision = { effect: 'allow', tool: 'echo' } as Decision; // what the filter looks at
    expect(seen[0]?.matches(decision)).toBe(true);
    expect(seen[0]?.matches({ ...decision, tool: 'add' })).toBe(false);
  });

  it('streams what would change, how far it is, and the counts', async () => {
    const counts: SimulationCounts = {
      decided: 10,
      unchanged: 6,
      changed: 3,
      unknown: 1,
      allow: 4,
      deny: 3,
      requireApproval: 2,
      skipped: 5,
    };
    const failure = { ruleId: 'draft/limit', path: 'amount', check: 'maximum', expected: '100', actual: '120' };
    const verdict = {
      effect: 'deny',
      reason: 'rule',
      ruleIds: ['draft/limit'],
      message: 'Too much.',
      policies: [],
      failures: [failure],
      shadow: [],
      writes: [],
    } as const;
    const decision = { id: 'call-1' as CallId, createTime: 1_800_000_000_123, tool: 'transfer' } as Decision; // all that is shown
    simulate = async function* () {
      yield { kind: 'change', decision, verdict, from: 'require_approval' };
      yield { kind: 'progress', counts: { ...counts, decided: 1 } };
      yield { kind: 'summary', counts };
    };
    expect((await run({ candidate: { case: 'draft', value: allow } })).map(({ value }) => value)).toMatchObject([
      {
        case: 'change',
        value: {
          callId: 'call-1',
          createTime: { seconds: 1_800_000_000n, nanos: 123_000_000 },
          tool: 'transfer',
          from: Effect.REQUIRE_APPROVAL,
          to: Effect.DENY,
          reason: DecisionReason.RULE,
          ruleIds: ['draft/limit'],
          message: 'Too much.',
          failures: [failure],
        },
      },
      { case: 'progress', value: { decided: 1n } },
      {
        case: 'summary',
        value: {
          decided: 10n,
          unchanged: 6n,
          changed: 3n,
          unknown: 1n,
          allow: 4n,
          deny: 3n,
          requireApproval: 2n,
          skipped: 5n,
        },
      },
    ]);
  });

  it('is refused when what is tried could not work, with the place', async () => {
    const refusal = await refusalOf(run({ candidate: { case: 'draft', value: broken } }));
    expect(refusal).toMatchObject({ code: 'InvalidArgument', violations: [{ field: 'draft.rules[1].tools' }] });
    expect(seen).toEqual([]);
  });

  it('of a version needs the policy, and one of its versions', async () => {
    expect((await refusalOf(run({ candidate: { case: 'version', value: 1 } }))).violations).toEqual([
      { field: 'policy', description: 'must be set: version is one of its versions' },
    ]);
    const missing = run({ policy: bySlug('second'), candidate: { case: 'version', value: 3 } });
    expect((await refusalOf(missing)).violations).toEqual([
      { field: 'version', description: 'must be a version of the policy, from 1 to 2' },
    ]);
    const unknown = run({ policy: bySlug('third'), candidate: { case: 'version', value: 1 } });
    expect(await refusalOf(unknown)).toMatchObject({ code: 'PermissionDenied' });
    expect(seen).toEqual([]);
  });

  it('is not for a credential whose grants name upstreams', async () => {
    const limited = { ...reader, grants: new Set<never>() };
    expect(await refusalOf(run({ candidate: { case: 'draft', value: allow } }, limited))).toMatchObject({
      code: 'PermissionDenied',
      message: expect.stringContaining('cannot simulate policies'),
    });
    const stranger = run({ policy: bySlug('first'), candidate: { case: 'draft', value: allow } }, gateway.otherAdmin);
    expect(await refusalOf(stranger)).toMatchObject({ code: 'PermissionDenied' });
    expect(seen).toEqual([]);
  });

  describe('runs beside three others at most', () => {
    const request = { candidate: { case: 'draft' as const, value: allow } };
    let ends: (() => void)[];

    beforeEach(() => {
      ends = [];
      simulate = async function* ({ signal }) {
        await new Promise<void>((resolve) => {
          ends.push(resolve);
          signal.addEventListener('abort', () => resolve());
        });
        yield* [];
      };
    });

    it('and makes room when it ends', async () => {
      const running = [1, 2, 3, 4].map(() => run(request));
      await expect.poll(() => ends.length).toBe(4);
      // What is refused is not even checked, which takes its time as well.
      for (const next of [request, { candidate: { case: 'draft' as const, value: broken } }]) {
        expect(await refusalOf(run(next))).toMatchObject({
          code: 'Unavailable',
          reason: 'ERROR_REASON_UNAVAILABLE',
          retrySeconds: 5n,
        });
      }
      ends[0]?.();
      await Promise.race(running);
      const next = run(request);
      await expect.poll(() => ends.length).toBe(5);
      for (const end of ends) end();
      await Promise.all([...running, next]);
    });

    it('and makes room when what is tried could not work', async () => {
      for (let tried = 0; tried < 9; tried++) {
        const refusal = await refusalOf(run({ candidate: { case: 'draft', value: broken } }));
        expect(refusal).toMatchObject({ code: 'InvalidArgument' });
      }
    });

    it('and makes room when its caller leaves', async () => {
      const leaving = new AbortController();
      const client = gateway.as(reader, PolicyService);
      const left = [1, 2, 3, 4].map(() => take(client.simulatePolicy(request, { signal: leaving.signal }), 1));
      await expect.poll(() => ends.length).toBe(4);
      leaving.abort();
      expect((await Promise.allSettled(left)).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
      simulate = async function* () {};
      await expect.poll(() => run(request).catch(() => 'refused')).toEqual([]);
    });
  });
});

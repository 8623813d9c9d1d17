import { describe, expect, it } from 'vitest';
import { toRow } from '../../src/decisions/decision-row.ts';
import type { PolicyId } from '../../src/domain/ids.ts';
import type { Policy, PolicyContent, RuleKind } from '../../src/domain/policy.ts';
import type { Project } from '../../src/domain/project.ts';
import { contentOf, createPolicy } from '../policy/arbitrary-policy.ts';
import { databases } from '../store/databases.ts';
import { changesOf, createWorld, decisionsOf, openStore, START, summaryOf, type World } from './simulation-world.ts';

const DAY = 86_400_000;
const pay = (amount: unknown) => ({ tool: 'pay', arguments: { amount } });
let made = 0;

/** A policy of one rule `r` for all calls. */
function policy(slug: string, says: RuleKind, change: Partial<PolicyContent> = {}): Policy {
  const content = { ...contentOf({ id: 'r', message: '', says }, 500), ...change };
  return { ...createPolicy(slug, content), id: `${slug}-${++made}` as PolicyId };
}

const atMost = (maximum: number, effect: 'deny' | 'require_approval' = 'deny'): RuleKind => ({
  kind: 'arguments',
  evaluation: 'fail_fast',
  constraints: [{ path: 'amount', effect, required: false, notNull: false, type: { kind: 'number', maximum } }],
});
const rate = (maxCalls: number, windowSeconds: number): RuleKind => ({
  kind: 'rate',
  maxCalls,
  windowSeconds,
  per: 'agent',
  violationEffect: 'deny',
});

describe.each(databases)('a draft, on $name', ({ locate }) => {
  const start = async (change: Partial<Project> = {}): Promise<World> =>
    createWorld(await openStore(await locate()), change);

  it('that denies more reports exactly the decisions it changes, and why', async () => {
    const world = await start();
    await world.decide(pay(50), pay(150), { tool: 'read' }, pay('much'));
    const events = await world.simulate([policy('limit', atMost(100))]);

    expect(events.filter(({ kind }) => kind === 'change')).toMatchObject([
      {
        decision: { tool: 'pay', argumentsJson: '{"amount":150}', effect: 'allow' },
        from: 'allow',
        verdict: {
          effect: 'deny',
          reason: 'rule',
          ruleIds: ['limit/r'],
          message: "Denied by rule 'limit/r'.",
          failures: [{ ruleId: 'limit/r', path: 'amount', check: 'maximum', actual: '150' }],
        },
      },
      { from: 'allow', verdict: { effect: 'deny', failures: [{ check: 'type', actual: '"much"' }] } },
    ]);
    expect(summaryOf(events)).toEqual({
      decided: 4,
      unchanged: 2,
      changed: 2,
      unknown: 0,
      allow: 2,
      deny: 2,
      requireApproval: 0,
      skipped: 0,
    });
  });

  it('that allows more turns denials into ALLOW, and one that asks turns calls into REQUIRE_APPROVAL', async () => {
    const world = await start();
    world.policies = [policy('limit', atMost(10))];
    await world.decide(pay(5), pay(20));
    const changes = async (says: RuleKind) => changesOf(await world.simulate([policy('limit', says)]));

    expect(await changes(atMost(100))).toEqual([{ tool: 'pay', from: 'deny', to: 'allow', ruleIds: [] }]);
    expect(await changes(atMost(10, 'require_approval'))).toEqual([
      { tool: 'pay', from: 'deny', to: 'require_approval', ruleIds: ['limit/r'] },
    ]);
    expect(await changes({ kind: 'effect', effect: 'require_approval' })).toEqual([
      { tool: 'pay', from: 'allow', to: 'require_approval', ruleIds: ['limit/r'] },
      { tool: 'pay', from: 'deny', to: 'require_approval', ruleIds: ['limit/r'] },
    ]);
  });

  it('is compared with what the rules said of an approved call, which counts for them', async () => {
    const world = await start();
    const ask = policy('ask', { kind: 'effect', effect: 'require_approval' });
    world.policies = [ask];
    const [asked] = await world.decide(pay(1));
    if (asked !== undefined) await world.approve(asked);
    const [approved] = await world.decide(pay(1));
    expect(approved?.decision).toMatchObject({ effect: 'allow', reason: 'approval' });
    await world.decide({ tool: 'read' });

    expect(changesOf(await world.simulate())).toEqual([]);
    const limited = [ask, policy('once', rate(1, 60))];
    // Only the approved call was made, so only the third is one too many.
    expect(changesOf(await world.simulate(limited))).toEqual([
      { tool: 'read', from: 'require_approval', to: 'deny', ruleIds: ['once/r'] },
    ]);
  });

  it('counts only the calls that it would let through itself', async () => {
    const world = await start();
    for (let call = 0; call < 6; call++) {
      await world.decide(pay(call));
      world.pass(40_000);
    }
    const events = await world.simulate([policy('slow', rate(1, 60))]);
    expect(events.flatMap((event) => (event.kind === 'change' ? [event.decision.argumentsJson] : []))).toEqual([
      '{"amount":1}',
      '{"amount":3}',
      '{"amount":5}',
    ]);
  });

  it('is tried on a time range, beginning with the state of then', async () => {
    const world = await start();
    const inForce = policy('slow', rate(1, 60));
    world.policies = [inForce];
    for (let call = 0; call < 40; call++) {
      await world.decide({ tool: `t${call}` });
      world.pass(40_000);
    }
    // Every other call is denied: which ones depends on all calls before.
    for (const first of [1, 2, 3, 20, 21]) {
      const events = await world.simulate([inForce], {
        startTime: START + first * 40_000,
        endTime: START + (first + 5) * 40_000,
      });
      expect(changesOf(events), `from ${first}`).toEqual([]);
      expect(summaryOf(events)).toMatchObject({ decided: 5, unchanged: 5 });
    }
    const laxer = await world.simulate([{ ...inForce, content: { ...inForce.content, mode: 'off' } }], {
      startTime: START + 20 * 40_000,
      endTime: START + 24 * 40_000,
    });
    expect(changesOf(laxer).map(({ tool }) => tool)).toEqual(['t21', 't23']);
  });

  it('begins with sessions as they were, for as long as they last', async () => {
    const world = await start();
    const inForce = policy('session', {
      kind: 'session',
      maxCalls: 3,
      cumulativeLimits: [],
      counters: [],
      violationEffect: 'deny',
    });
    world.policies = [inForce];
    for (let call = 0; call < 6; call++) {
      await world.decide({ tool: `t${call}`, session: 's' });
      world.pass(20 * DAY);
    }
    // The last of three allowed calls was on day 40; on day 80 the session was forgotten.
    expect((await decisionsOf(world)).map(({ effect }) => effect)).toEqual([
      'allow',
      'allow',
      'allow',
      'deny',
      'allow',
      'allow',
    ]);
    for (const day of [20, 60, 80, 100]) {
      const events = await world.simulate([inForce], { startTime: START + day * DAY });
      expect(changesOf(events), `from day ${day}`).toEqual([]);
    }
  });

  it('is reported for the decisions that the filter picks; the others count all the same', async () => {
    const world = await start();
    await world.decide({ tool: 'a' });
    await world.decide({ tool: 'b' });
    const events = await world.simulate([policy('once', rate(1, 60))], { matches: ({ tool }) => tool === 'b' });

    expect(changesOf(events)).toEqual([{ tool: 'b', from: 'allow', to: 'deny', ruleIds: ['once/r'] }]);
    expect(summaryOf(events)).toMatchObject({ decided: 1, changed: 1, deny: 1 });
  });

  it('is not tried on what policies did not decide', async () => {
    const world = await start();
    const [allowed] = await world.decide({ tool: 'a' });
    const decision = allowed?.decision;
    if (decision === undefined) throw new Error('no decision');
    const reasons = ['scope', 'grant', 'tool_filter', 'upstream_disabled', 'agent_inactive'] as const;
    await world.store.log.append({
      decisions: reasons.map((reason) =>
        toRow({ ...decision, id: `${world.projectId}-${reason}` as never, effect: 'deny', reason }),
      ),
      outcomes: [],
    });
    const events = await world.simulate([policy('none', { kind: 'effect', effect: 'require_approval' })]);

    expect(summaryOf(events)).toMatchObject({ decided: 1, changed: 1, requireApproval: 1, skipped: 5 });
  });

  it('finds a range of time anywhere in the log, and reads little besides', async () => {
    const world = await start();
    for (let burst = 0; burst < 20; burst++) {
      await world.decide(...Array.from({ length: 50 }, (_, call) => ({ tool: `t${burst * 50 + call}` })));
      world.pass(DAY);
    }
    let rows = 0;
    const { scan } = world.store.log;
    world.store.log.scan = async (...request) => {
      const found = await scan(...request);
      rows += found.length;
      return found;
    };
    const events = await world.simulate([policy('no', { kind: 'effect', effect: 'deny' })], {
      startTime: START + 7 * DAY,
      endTime: START + 9 * DAY,
    });

    const tools = changesOf(events).map(({ tool }) => tool);
    expect(new Set(tools)).toEqual(new Set(Array.from({ length: 100 }, (_, call) => `t${350 + call}`)));
    expect(tools).toHaveLength(100);
    expect(rows).toBeLessThan(300 + 50);
  });
});

it('counts a call that came again with its approval once, when the draft would have let it through at once', async () => {
  const world = await createWorld(await openStore({ kind: 'memory' }));
  world.policies = [policy('ask', { kind: 'effect', effect: 'require_approval' })];
  const [asked] = await world.decide(pay(1));
  if (asked !== undefined) await world.approve(asked);
  await world.decide(pay(1));
  await world.decide({ tool: 'read' });
  await world.decide({ tool: 'write' });
  expect(changesOf(await world.simulate([policy('two', rate(2, 60))])).map(({ to }) => to)).toEqual([
    'allow',
    'allow',
    'allow',
    'deny',
  ]);
});

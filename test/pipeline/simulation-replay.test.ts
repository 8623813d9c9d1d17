import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Decision, Effect } from '../../src/domain/decision.ts';
import type { PolicyId } from '../../src/domain/ids.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { PolicyCall } from '../../src/policy/policy-call.ts';
import { call as anyCall, policies as anyPolicies } from '../policy/arbitrary-policy.ts';
import { databases } from '../store/databases.ts';
import {
  changesOf,
  createWorld,
  decisionsOf,
  openStore,
  summaryOf,
  type Who,
  type World,
  type WorldCall,
} from './simulation-world.ts';

const ROUNDS = 40;
/** At least so many decisions in a round; approved calls that come again are added to them. */
const CALLS = 250;
const DAY = 86_400_000;

/** The same on every run. */
const seed = 3;
const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number, round: number): T[] =>
  fc.sample(arbitrary, { numRuns: count, seed: seed * 1_000 + round });

/** How long it is until the next calls come: windows roll on, approvals and sessions expire. */
const pause = fc.oneof(
  { arbitrary: fc.integer({ min: 0, max: 3_000 }), weight: 12 },
  { arbitrary: fc.integer({ min: 10_000, max: 100_000 }), weight: 4 },
  { arbitrary: fc.integer({ min: 3_600_000, max: DAY }), weight: 1 },
  { arbitrary: fc.constant(31 * DAY), weight: 1 },
);

/** The policies of a round: with ids of their own, because state is kept by policy. */
function policiesOf(round: number): Policy[] {
  const [, made = []] = sample(
    anyPolicies.filter((some) => some.length > 2),
    2,
    round,
  );
  return made.map((policy) => ({ ...policy, id: `round-${round}-${policy.slug}` as PolicyId }));
}

function toWorldCall({ principal, upstream, method, tool, arguments: args, session }: PolicyCall): WorldCall {
  return {
    who: principal.id as string as Who,
    withKey: principal.apiKeyId !== undefined,
    upstream: upstream.slug === 'b' ? 'upstream-b' : upstream.slug,
    method,
    tool,
    // As JSON carries it: no infinity, no NaN.
    arguments: args === undefined ? undefined : JSON.parse(JSON.stringify(args)),
    session,
  };
}

/** Plays calls in bursts; half of the approvals are given, and those calls come again. */
async function play(world: World, round: number): Promise<void> {
  const calls = sample(anyCall, CALLS, round).map(toWorldCall);
  const pauses = sample(pause, CALLS, round);
  let again = CALLS;
  const { decide } = world;
  for (let burst = 0; calls.length > 0; burst++) {
    const now = calls.splice(0, 1 + (burst % 12));
    const rulings = await decide(...now);
    for (const [index, ruling] of rulings.entries()) {
      if (ruling.approval?.state !== 'pending' || (burst + index) % 2 === 0 || again === 0) continue;
      again--;
      await world.approve(ruling);
      calls.unshift(now[index] as WorldCall);
    }
    world.pass(pauses[burst % CALLS] ?? 0);
  }
}

interface Seen {
  readonly effects: Map<string, number>;
  readonly kinds: Map<string, number>;
  shadows: number;
}

function note(seen: Seen, policies: readonly Policy[], decisions: readonly Decision[]): void {
  const add = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  const kinds = new Map<string, string>(
    policies.flatMap(({ slug, content }) =>
      content.rules.map((rule) => [`${slug}/${rule.id}`, rule.says.kind] as const),
    ),
  );
  for (const { effect, reason, ruleIds, shadow } of decisions) {
    add(seen.effects, `${effect} ${reason}`);
    for (const ruleId of effect === 'allow' ? [] : ruleIds) add(seen.kinds, kinds.get(ruleId) ?? 'other');
    seen.shadows += shadow?.length ?? 0;
  }
}

describe.each(databases.filter(({ name }) => name !== 'SQLite memory'))(
  'the policies in force, on $name',
  ({ locate }) => {
    it('would change none of 10,000 random decisions, from the first on and from any time on', {
      timeout: 240_000,
    }, async () => {
      const store = await openStore(await locate());
      const seen: Seen = { effects: new Map(), kinds: new Map(), shadows: 0 };
      let decided = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const defaultEffect =
          (['allow', 'allow', 'deny', 'require_approval'] as const satisfies Effect[])[round % 4] ?? 'allow';
        const world = await createWorld(store, { defaultEffect });
        world.policies = policiesOf(round);
        await play(world, round);
        const decisions = await decisionsOf(world);
        note(seen, world.policies, decisions);
        decided += decisions.length;
        const middle = decisions[Math.floor(decisions.length / 2)]?.createTime ?? 0;
        const later = decisions.filter(({ createTime }) => createTime >= middle).length;

        const whole = await world.simulate();
        expect(changesOf(whole), `round ${round}`).toEqual([]);
        expect(summaryOf(whole), `round ${round}`).toMatchObject({
          decided: decisions.length,
          unchanged: decisions.length,
          changed: 0,
          unknown: 0,
          skipped: 0,
        });
        const half = await world.simulate(world.policies, { startTime: middle });
        expect(changesOf(half), `round ${round}, second half`).toEqual([]);
        expect(summaryOf(half), `round ${round}, second half`).toMatchObject({ decided: later, unchanged: later });
      }
      expect(decided).toBeGreaterThan(10_000);
      // What did not happen would prove nothing.
      const rare = (counts: ReadonlyMap<string, number>, names: readonly string[]) =>
        names.filter((name) => (counts.get(name) ?? 0) < 100);
      expect(
        rare(seen.kinds, ['effect', 'condition', 'arguments', 'tools', 'time_window', 'rate', 'session', 'sequence']),
      ).toEqual([]);
      expect(
        rare(seen.effects, [
          'allow rule',
          'allow project_default',
          'allow approval',
          'deny rule',
          'deny project_default',
          'require_approval rule',
          'require_approval project_default',
        ]),
      ).toEqual([]);
      expect(seen.shadows).toBeGreaterThan(500);
    });
  },
);

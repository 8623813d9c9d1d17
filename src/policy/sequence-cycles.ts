import type { CallPattern, Policy, PolicyContent, RuleKind } from '../domain/policy.ts';
import { writePattern } from './pattern-cover.ts';
import { createStepFinder, type SequenceStep } from './sequence-steps.ts';
import { type CountWork, createWorkCount } from './sequence-work.ts';
import { groupBySubject } from './subject-groups.ts';

/** A sequence rule that no order of calls can meet. */
export interface UnreachableSequence {
  /** Of the rule in its policy. */
  readonly index: number;
  /** Why, for people. */
  readonly reason: string;
}

type Sequence = Extract<RuleKind, { readonly kind: 'sequence' }>;

/** A rule that lets calls through only after others. */
interface Demand {
  readonly index: number;
  readonly policy: PolicyContent;
  /** `policy slug/rule id`; in the policy that is checked, the rule id alone. */
  readonly name: string;
  readonly onlyAfter: readonly CallPattern[];
}

/** Most steps of a circle that are told. */
const MAX_STEPS = 5;

/**
 * Finds the sequence rules of a policy whose `only_after` can never be met, because each of those calls waits, in the end, for itself:
 * within the policy, or together with policies in force that decide the same calls. Rules that ask for approval can always be met.
 *
 * @throws GatewayError `validation_failed` when there are too many to find out
 */
export function findUnreachableSequences(content: PolicyContent, others: readonly Policy[]): UnreachableSequence[] {
  const own = findDemands(content, '');
  if (own.length === 0) return [];
  const count = createWorkCount();
  const groups = groupBySubject(content, others);
  const stepOf = createStepFinder([content, ...new Set(groups.flat().map((other) => other.content))], count);
  const found = new Map<number, UnreachableSequence>();
  for (const group of groups) {
    const demands = [...own, ...group.flatMap((other) => findDemands(other.content, `${other.slug}/`))];
    const unmet = findUnmet(demands, new Set([content, ...group.map((other) => other.content)]), stepOf, count);
    for (const demand of own) {
      if (unmet.has(demand) && !found.has(demand.index)) {
        found.set(demand.index, { index: demand.index, reason: describeCircle(demand, unmet) });
      }
    }
  }
  return [...found.values()].sort((one, other) => one.index - other.index);
}

function findDemands(policy: PolicyContent, prefix: string): Demand[] {
  return policy.rules.flatMap(({ id, says }, index) =>
    isDemand(says) ? [{ index, policy, name: prefix + (id || `rules[${index}]`), onlyAfter: says.onlyAfter }] : [],
  );
}

function isDemand(says: RuleKind): says is Sequence {
  return says.kind === 'sequence' && says.onlyAfter.length > 0 && says.violationEffect === 'deny';
}

/** Calls that a demand waits for, with the policies that let them through only when their own demands are met. */
interface Wait {
  readonly pattern: CallPattern;
  readonly blockers: readonly PolicyContent[];
}

/** The demands that no order of calls can meet, and what each waits for. */
type Unmet = ReadonlyMap<Demand, readonly Wait[]>;

/** Finds what can be met, from the calls that wait for nothing on; what is left waits for itself. */
function findUnmet(
  demands: readonly Demand[],
  policies: ReadonlySet<PolicyContent>,
  stepOf: (pattern: CallPattern) => SequenceStep,
  count: CountWork,
): Unmet {
  const waitFor = (pattern: CallPattern): Wait => {
    const step = stepOf(pattern);
    count(1 + step.targetedBy.length + step.mayBeAllowedBy.length);
    return { pattern, blockers: findBlockers(step, policies) };
  };
  const unmet = new Map(demands.map((demand) => [demand, demand.onlyAfter.map(waitFor)]));
  for (let before = -1; before !== unmet.size; ) {
    before = unmet.size;
    const blocking = new Set([...unmet.keys()].map(({ policy }) => policy));
    for (const [demand, waits] of unmet) {
      count(waits.length);
      if (waits.some(({ blockers }) => !blockers.some((policy) => blocking.has(policy)))) unmet.delete(demand);
    }
  }
  return unmet;
}

function findBlockers(step: SequenceStep, policies: ReadonlySet<PolicyContent>): PolicyContent[] {
  const highest = Math.max(
    ...step.mayBeAllowedBy.filter((policy) => policies.has(policy)).map(({ priority }) => priority),
  );
  return step.targetedBy.filter((policy) => policies.has(policy) && policy.priority >= highest);
}

function describeCircle(first: Demand, unmet: Unmet): string {
  const parts: string[] = [];
  const seen = new Set<Demand>();
  let wait = unmet.get(first)?.[0];
  while (wait !== undefined && parts.length < MAX_STEPS) {
    const { pattern, blockers } = wait;
    const blocking = [...unmet].find(([{ policy }]) => blockers.includes(policy));
    const next = blocking?.[1][0];
    if (blocking === undefined || next === undefined || seen.has(blocking[0])) break;
    seen.add(blocking[0]);
    parts.push(
      `${writePattern(pattern)} may come only after ${writePattern(next.pattern)} (rule '${blocking[0].name}')`,
    );
    wait = next;
  }
  return `can never be met: ${parts.join(', and ')}`;
}

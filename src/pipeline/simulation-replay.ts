import type { Decision, Effect } from '../domain/decision.ts';
import type { ApprovalId, ProjectId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';
import type { StateWrite } from '../domain/policy-state.ts';
import { type DecideInput, decide, type Verdict } from '../policy/decide.ts';
import type { Plan, PlannedRule } from '../policy/plan.ts';
import { createPolicySet } from '../policy/policy-set.ts';
import { evaluateRules } from '../policy/rule-result.ts';
import { createRecordedCalls, type SimulationConfig } from './simulation-call.ts';
import { createLooksAtHidden } from './simulation-reads.ts';
import type { SimulationState } from './simulation-state.ts';

/** What became of a decision that was made again. */
export type Replayed =
  | { readonly kind: 'decided'; readonly verdict: Verdict; readonly from: Effect }
  /** Not known, because arguments that matter were not recorded; or not decided by policies then. */
  | { readonly kind: 'unknown' | 'skipped' };

/** Decides recorded calls again, in their order. */
export interface Replay {
  /** Decides a call again. It counts for rules with state when the given policies would have let it through. */
  decideAgain(decision: Decision): Replayed;
  /** Counts a call for rules with state if it was allowed then. */
  count(decision: Decision): void;
}

/** Makes what decides with the given policies, beginning with the given state. */
export function createReplay(
  config: SimulationConfig,
  projectId: ProjectId,
  policies: readonly Policy[],
  state: SimulationState,
): Replay {
  const { defaultEffect, redactedKeys } = config.getProject(projectId);
  const set = createPolicySet(policies);
  const toCall = createRecordedCalls(config, projectId);
  const looksAtHidden = createLooksAtHidden(policies);
  const isFirst = createFirstOfApproval();

  const inputOf = (decision: Decision) => {
    const call = toCall(decision);
    const matched = set.match(call);
    const now = decision.createTime;
    const input: DecideInput = {
      call,
      matched,
      defaultEffect,
      states: state.read(matched.reads, now),
      now,
      redactedKeys,
    };
    const isHiddenFrom = looksAtHidden(call.recorded);
    const isBlind = (planned: PlannedRule) => isHiddenFrom(planned) || hasUnknownSum(planned, input);
    const mayBeBlind = call.recorded.hidden !== 'nothing' || input.states.some(isUnknownState);
    return { input, isBlind: mayBeBlind ? isBlind : undefined };
  };
  const keep = ({ input, isBlind }: ReturnType<typeof inputOf>, writes: readonly StateWrite[]) =>
    state.write(isBlind === undefined ? writes : withUnknownSums(writes, input.matched.plan, isBlind));

  return {
    decideAgain(decision) {
      const from = effectOfPolicies(decision);
      if (from === undefined) {
        return { kind: 'skipped' };
      }
      const question = inputOf(decision);
      const { input, isBlind } = question;
      const verdict = isBlind === undefined ? decide(input) : decideIfKnown(input, isBlind);
      const isLetThrough =
        verdict === undefined
          ? decision.effect === 'allow'
          : verdict.effect === 'allow' || (verdict.effect === 'require_approval' && decision.reason === 'approval');
      if (isLetThrough && input.matched.reads.length > 0 && isFirst(decision)) {
        keep(question, verdict?.effect === 'allow' ? verdict.writes : writesWhenAllowed(input));
      }
      return verdict === undefined ? { kind: 'unknown' } : { kind: 'decided', verdict, from };
    },
    count(decision) {
      if (decision.effect !== 'allow' || effectOfPolicies(decision) === undefined) {
        return;
      }
      const question = inputOf(decision);
      if (question.input.matched.reads.length > 0) {
        keep(question, writesWhenAllowed(question.input));
      }
    },
  };
}

/** True for the first of the calls that share an approval: without the need for one the call would have been made once. */
function createFirstOfApproval(): (decision: Decision) => boolean {
  const seen = new Set<ApprovalId>();
  return ({ approvalId }) => {
    if (approvalId === undefined) {
      return true;
    }
    const isFirst = !seen.has(approvalId);
    seen.add(approvalId);
    return isFirst;
  };
}

/** What the policies resulted in then; undefined when they did not decide. */
function effectOfPolicies({ reason, effect }: Decision): Effect | undefined {
  switch (reason) {
    case 'rule':
    case 'project_default':
      return effect;
    case 'approval':
    case 'approvals_exhausted':
      return 'require_approval';
    default:
      return undefined;
  }
}

/** The changes of state that the call makes when it is allowed, whatever the rules say of it. */
function writesWhenAllowed(input: DecideInput): readonly StateWrite[] {
  const plan = { ...input.matched.plan, groups: [], shadows: [] };
  return decide({ ...input, matched: { ...input.matched, plan }, defaultEffect: 'allow' }).writes;
}

const strictness: Readonly<Record<Effect, number>> = { allow: 1, require_approval: 2, deny: 3 };

/** Decides without the rules that are blind; undefined when one of them might have led to something else. */
function decideIfKnown(input: DecideInput, isBlind: (planned: PlannedRule) => boolean): Verdict | undefined {
  const { plan } = input.matched;
  const groups: (readonly PlannedRule[])[] = [];
  for (const group of plan.groups) {
    const seeing = group.filter((planned) => !isBlind(planned));
    const result = evaluateRules(seeing, input);
    const certain = result === undefined ? 0 : strictness[result.effect];
    const blind = seeing.length === group.length ? [] : group.filter(isBlind);
    if (blind.some(({ rule }) => rule.code.effects.some((effect) => strictness[effect] > certain))) {
      return undefined;
    }
    groups.push(seeing);
    if (result !== undefined) break;
  }
  return decide({ ...input, matched: { ...input.matched, plan: { ...plan, groups, shadows: [] } } });
}

/** Where a session rule keeps its sums. */
function sumsOf({ rule }: PlannedRule): string {
  return `${rule.stateKey}sum.`;
}

/** A sum to which something unknown was added is NaN, and stays so. */
function withUnknownSums(
  writes: readonly StateWrite[],
  plan: Plan,
  isBlind: (planned: PlannedRule) => boolean,
): readonly StateWrite[] {
  const unknown = plan.groups.flat().filter(isBlind).map(sumsOf);
  return writes.map((write) =>
    unknown.some((prefix) => write.key.startsWith(prefix)) ? { ...write, value: Number.NaN } : write,
  );
}

function hasUnknownSum(planned: PlannedRule, { matched, states }: DecideInput): boolean {
  const prefix = sumsOf(planned);
  return states.some((state, index) => isUnknownState(state) && matched.reads[index]?.key.startsWith(prefix) === true);
}

function isUnknownState(state: DecideInput['states'][number]): boolean {
  return state !== undefined && Number.isNaN(state.value);
}

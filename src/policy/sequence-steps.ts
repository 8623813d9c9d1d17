import type { CallPattern, PolicyContent, RuleKind } from '../domain/policy.ts';
import { coversCalls, overlapsCalls } from './pattern-cover.ts';
import type { CountWork } from './sequence-work.ts';

/** Calls that a sequence rule waits for, and what stands before them. */
export interface SequenceStep {
  readonly pattern: CallPattern;
  /** Policies that target all of these calls. */
  readonly targetedBy: readonly PolicyContent[];
  /** Policies that may allow some of these calls. */
  readonly mayBeAllowedBy: readonly PolicyContent[];
}

/** Makes the function that finds the step of a pattern among these policies; each is found once. */
export function createStepFinder(
  policies: readonly PolicyContent[],
  count: CountWork,
): (pattern: CallPattern) => SequenceStep {
  const findTargeting = createTargetIndex(policies, count);
  const allowing = policies.filter((policy) => policy.rules.some(({ says }) => mayAllow(says)));
  const steps = new Map<string, SequenceStep>();
  return (pattern) => {
    const key = JSON.stringify([pattern.upstreamPattern, pattern.toolPattern]);
    let step = steps.get(key);
    if (step === undefined) {
      const targetedBy = findTargeting(pattern);
      const overlapping = ({ targets }: PolicyContent) => {
        count(targets.length);
        return targets.some((target) => overlapsCalls(target, pattern));
      };
      step = { pattern, targetedBy, mayBeAllowedBy: targetedBy.length === 0 ? [] : allowing.filter(overlapping) };
      steps.set(key, step);
    }
    return step;
  };
}

interface Target {
  readonly target: CallPattern;
  readonly policy: PolicyContent;
}

/** Of all calls that a pattern matches, the plainest is matched only by the targets that cover the whole pattern: those are found. */
function createTargetIndex(
  policies: readonly PolicyContent[],
  count: CountWork,
): (pattern: CallPattern) => readonly PolicyContent[] {
  const all = policies.flatMap((policy) => policy.targets.map((target): Target => ({ target, policy })));
  const [open, exact] = [true, false].map((isOpen) =>
    all.filter(({ target }) => target.toolPattern.endsWith('*') === isOpen),
  ) as [Target[], Target[]];
  const byTool = Map.groupBy(exact, ({ target }) => target.toolPattern);
  return (pattern) => {
    const candidates = [...open, ...(byTool.get(pattern.toolPattern) ?? [])];
    count(candidates.length);
    return [...new Set(candidates.filter(({ target }) => coversCalls(target, pattern)).map(({ policy }) => policy))];
  };
}

function mayAllow(says: RuleKind): boolean {
  switch (says.kind) {
    case 'effect':
    case 'condition':
      return says.effect === 'allow';
    case 'tools':
      return says.allowedTools.length > 0;
    default:
      return false;
  }
}

import type { Policy, PolicyRule } from '../domain/policy.ts';
import { MASK } from '../domain/sensitive-keys.ts';
import { everyItem, type PathSegment, parsePath } from '../policy/argument-path.ts';
import { findArgumentReads } from '../policy/expression-reads.ts';
import type { PlannedRule } from '../policy/plan.ts';
import type { RecordedCallArguments } from './simulation-arguments.ts';

interface Read {
  /** From the arguments down; empty = all of them. */
  readonly path: readonly PathSegment[];
  /** What is asked of the place: all that is there and beneath, the value itself (of an array its length), or whether it is there. */
  readonly depth: 'beneath' | 'value' | 'presence';
}

/** Tells which rules look at what was not recorded of a call's arguments. */
export type LooksAtHidden = (recorded: RecordedCallArguments) => (planned: PlannedRule) => boolean;

/** Finds out, once for all calls and when it is first asked, which arguments each rule looks at. */
export function createLooksAtHidden(policies: readonly Policy[]): LooksAtHidden {
  const byId = new Map<string, Policy>(policies.map((policy) => [policy.id, policy]));
  const known = new Map<string, readonly Read[]>();
  const readsOfRule = ({ rule: { id, policy, stateKey, code } }: PlannedRule): readonly Read[] => {
    const found = known.get(stateKey);
    if (found !== undefined) return found;
    const rule = byId.get(policy.ref.id)?.content.rules.find((one) => one.id === id);
    // A rule that cannot be compiled denies whatever the arguments are.
    const made = rule === undefined || code.isStatic ? [] : readsOf(rule);
    known.set(stateKey, made);
    return made;
  };
  return (recorded) => {
    let masked: readonly (readonly PathSegment[])[] | undefined;
    return (planned) => {
      const reads = readsOfRule(planned);
      if (reads.length === 0 || recorded.hidden === 'nothing') return false;
      if (recorded.hidden === 'all') return true;
      masked ??= maskedPaths(recorded.value);
      return masked.some((path) => reads.some((read) => touches(read, path)));
    };
  };
}

function readsOf({ says }: PolicyRule): readonly Read[] {
  switch (says.kind) {
    case 'arguments':
      return says.constraints.map(({ path, type, notNull }) =>
        readOf(path, type === undefined && !notNull ? 'presence' : 'value'),
      );
    case 'session':
      return says.cumulativeLimits.map(({ path }) => readOf(path, 'value'));
    case 'condition':
      return findArgumentReads(says.expression).map(({ path, presenceOnly }) => ({
        path,
        depth: presenceOnly ? 'presence' : 'beneath',
      }));
    default:
      return [];
  }
}

function readOf(path: string, depth: Read['depth']): Read {
  return { path: parsePath(path).segments, depth };
}

/** Where the values are that were masked. */
function maskedPaths(value: unknown, at: readonly PathSegment[] = []): (readonly PathSegment[])[] {
  if (value === MASK) return [at];
  if (Array.isArray(value)) return value.flatMap((item, index) => maskedPaths(item, [...at, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => maskedPaths(item, [...at, key]));
}

/** True when what is read depends on what is masked. */
function touches({ path, depth }: Read, masked: readonly PathSegment[]): boolean {
  const common = Math.min(path.length, masked.length);
  for (let at = 0; at < common; at++) {
    if (path[at] !== everyItem && path[at] !== masked[at]) return false;
  }
  switch (depth) {
    case 'beneath':
      return true;
    case 'value':
      return path.length >= masked.length;
    case 'presence':
      // Of a masked value it is known that it is there, not what is beneath.
      return path.length > masked.length;
  }
}

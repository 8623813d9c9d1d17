import { matchesPattern } from '../domain/name-pattern.ts';
import type { CallPattern } from '../domain/policy.ts';

/** A call as patterns see it; a method that names no tool has the name ''. */
export interface CallPlace {
  readonly upstream: string;
  readonly tool: string;
}

/** True when one of the patterns matches both the upstream and the tool. */
export function matchesAny(patterns: readonly CallPattern[], { upstream, tool }: CallPlace): boolean {
  return patterns.some(
    ({ upstreamPattern, toolPattern }) =>
      matchesPattern(upstreamPattern, upstream) && matchesPattern(toolPattern, tool),
  );
}

import type { ToolFilter } from '../domain/upstream.ts';
import { createCoverFinder } from './pattern-cover.ts';

/** The filter that lets through what both do. */
export function intersectToolFilters(one: ToolFilter, other: ToolFilter): ToolFilter {
  const deniedTools = [...new Set([...one.deniedTools, ...other.deniedTools])];
  if (one.allowedTools.length === 0 || other.allowedTools.length === 0) {
    return { allowedTools: [...one.allowedTools, ...other.allowedTools], deniedTools };
  }
  const covered = [
    ...findCovered(one.allowedTools, other.allowedTools),
    ...findCovered(other.allowedTools, one.allowedTools),
  ];
  // An empty allow list would allow all.
  return { allowedTools: [...new Set(covered)], deniedTools: covered.length === 0 ? ['*'] : deniedTools };
}

/** Of two patterns, one covers the other, or they match nothing in common. */
function findCovered(patterns: readonly string[], by: readonly string[]): readonly string[] {
  const findCover = createCoverFinder(by);
  return patterns.filter((pattern) => findCover(pattern) !== undefined);
}

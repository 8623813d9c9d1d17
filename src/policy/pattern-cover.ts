import { matchesPattern } from '../domain/name-pattern.ts';
import type { CallPattern } from '../domain/policy.ts';

/** True when a pattern (exact, `prefix*` or `*`) matches everything that the other one matches. */
export function covers(pattern: string, other: string): boolean {
  if (!other.endsWith('*')) return matchesPattern(pattern, other);
  return pattern.endsWith('*') && other.startsWith(pattern.slice(0, -1));
}

/** Makes the function that finds a pattern which matches everything that another one matches; what it costs hardly grows with their number. */
export function createCoverFinder(patterns: readonly string[]): (other: string) => string | undefined {
  const exact = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
  const prefixes = new Set(patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1)));
  const lengths = [...new Set([...prefixes].map(({ length }) => length))].sort((one, two) => one - two);
  return (other) => {
    if (exact.has(other)) return other;
    const begins = other.endsWith('*') ? other.slice(0, -1) : other;
    const found = lengths.find((length) => length <= begins.length && prefixes.has(begins.slice(0, length)));
    return found === undefined ? undefined : `${begins.slice(0, found)}*`;
  };
}

/** True when there is something that both patterns match. */
export function overlaps(one: string, other: string): boolean {
  if (!one.endsWith('*')) return matchesPattern(other, one);
  if (!other.endsWith('*')) return matchesPattern(one, other);
  return covers(one, other) || covers(other, one);
}

/** True when a pattern of calls matches every call that the other one matches. */
export function coversCalls(pattern: CallPattern, other: CallPattern): boolean {
  return covers(pattern.upstreamPattern, other.upstreamPattern) && covers(pattern.toolPattern, other.toolPattern);
}

/** True when there is a call that both patterns match. */
export function overlapsCalls(one: CallPattern, other: CallPattern): boolean {
  return overlaps(one.upstreamPattern, other.upstreamPattern) && overlaps(one.toolPattern, other.toolPattern);
}

/** The pattern for people: the tool, and the upstream where it is not every one. */
export function writePattern({ upstreamPattern, toolPattern }: CallPattern): string {
  return upstreamPattern === '*' ? `'${toolPattern}'` : `'${toolPattern}' of '${upstreamPattern}'`;
}

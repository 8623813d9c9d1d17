import { matchesPattern } from './name-pattern.ts';
import type { ToolFilter } from './upstream.ts';

/** True when the filter lets the tool be called: not denied, and allowed by name or because the allow list is empty. */
export function passesToolFilter(filter: ToolFilter, tool: string): boolean {
  if (filter.deniedTools.some((pattern) => matchesPattern(pattern, tool))) {
    return false;
  }
  return filter.allowedTools.length === 0 || filter.allowedTools.some((pattern) => matchesPattern(pattern, tool));
}

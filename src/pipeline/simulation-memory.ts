import type { Policy, PolicyRule } from '../domain/policy.ts';
import { SESSION_STATE_MS } from '../policy/state-subject.ts';

/** For how long before a call others matter to whether it is let through, in milliseconds; of sessions, which may go on for ever, the last part. */
export function longestMemory(policies: readonly Policy[]): number {
  return longest(policies, ({ says }) => {
    switch (says.kind) {
      case 'rate':
        return says.windowSeconds * 1000;
      case 'session':
        return SESSION_STATE_MS;
      case 'sequence':
        return Math.max(
          says.onlyAfter.length > 0 ? (says.withinMs ?? SESSION_STATE_MS) : 0,
          says.neverAfter.length > 0 ? SESSION_STATE_MS : 0,
        );
      default:
        return 0;
    }
  });
}

/** How much earlier calls have to be counted for state to be complete, in milliseconds: a session that goes on counts from its first call. */
export function reachOf(policies: readonly Policy[]): number {
  const hasSessions = longest(policies, ({ says }) => Number(says.kind === 'session')) > 0;
  return hasSessions ? Number.POSITIVE_INFINITY : longestMemory(policies);
}

function longest(policies: readonly Policy[], measure: (rule: PolicyRule) => number): number {
  let found = 0;
  for (const { content } of policies) {
    for (const rule of content.mode === 'off' ? [] : content.rules) found = Math.max(found, measure(rule));
  }
  return found;
}

import type { CallPattern, RuleKind, SessionCounter } from '../domain/policy.ts';
import { parsePath } from './argument-path.ts';
import type { Report } from './check-report.ts';
import { coversCalls, createCoverFinder, writePattern } from './pattern-cover.ts';
import { getZoneClock } from './zone-clock.ts';

type Rule<Kind extends RuleKind['kind']> = Extract<RuleKind, { readonly kind: Kind }>;

/** Reports lists of tools that say nothing, and tools that are allowed in vain. */
export function checkToolLists({ allowedTools, deniedTools }: Rule<'tools'>, report: Report): void {
  if (allowedTools.length === 0 && deniedTools.length === 0) {
    report.add('names no tool: fill allowed_tools or denied_tools');
  }
  const findDenied = createCoverFinder(deniedTools);
  for (const [index, allowed] of allowedTools.entries()) {
    const denied = findDenied(allowed);
    if (denied !== undefined) {
      report.at(`allowed_tools[${index}]`).add(`can never be allowed, because denied_tools has '${denied}'`);
    }
  }
}

/** Reports a time zone that is none, and the lack of windows. */
export function checkTimeWindow({ windows, timeZone }: Rule<'time_window'>, report: Report): void {
  if (windows.length === 0) report.at('windows').add('must have at least one window');
  try {
    getZoneClock(timeZone);
  } catch {
    report.at('time_zone').add(`is no time zone: use an IANA name such as 'Europe/Berlin'`);
  }
}

/** Reports limits that limit nothing, paths that cannot be read, and counters that cannot be told apart or cannot count. */
export function checkSession({ maxCalls, cumulativeLimits, counters }: Rule<'session'>, report: Report): void {
  if (maxCalls === 0 && cumulativeLimits.length === 0 && counters.length === 0) {
    report.add('limits nothing: set max_calls, cumulative_limits or counters');
  }
  for (const [index, { path }] of cumulativeLimits.entries()) {
    report.at(`cumulative_limits[${index}].path`).try(() => parsePath(path));
  }
  const names = new Set<string>();
  for (const [index, counter] of counters.entries()) {
    checkCounter(counter, names, report.at(`counters[${index}]`));
    names.add(counter.name);
  }
}

function checkCounter({ name, increment, decrement }: SessionCounter, names: Set<string>, report: Report): void {
  if (names.has(name)) report.at('name').add('is used by an earlier counter: each name may be used once');
  if (increment.length === 0) report.at('increment').add('must have at least one pattern');
  for (const [index, pattern] of increment.entries()) {
    const opposite = decrement.find((other) => coversCalls(other, pattern));
    if (opposite !== undefined) {
      report.at(`increment[${index}]`).add(`can never count up, because decrement has ${writePattern(opposite)}`);
    }
  }
}

/** Reports a sequence that demands nothing, or contradicts itself. */
export function checkSequence({ onlyAfter, neverAfter, withinMs }: Rule<'sequence'>, report: Report): void {
  if (onlyAfter.length === 0 && neverAfter.length === 0) report.add('demands nothing: fill only_after or never_after');
  if (withinMs !== undefined && onlyAfter.length === 0) report.at('within').add('says nothing without only_after');
  const forbidden = onlyAfter.map((pattern) => findCover(neverAfter, pattern));
  if (forbidden.length > 0 && forbidden.every((pattern) => pattern !== undefined)) {
    report.at('only_after').add('can never be met, because each of these calls is on never_after too');
  }
}

function findCover(patterns: readonly CallPattern[], pattern: CallPattern): CallPattern | undefined {
  return patterns.find((other) => coversCalls(other, pattern));
}

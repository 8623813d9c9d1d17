import type { RuleKind, TimeWindow } from '../domain/policy.ts';
import { createPlainRule, type Evaluate, type RuleCode } from './compiled-rule.ts';
import { textOf } from './failure-text.ts';
import { getZoneClock } from './zone-clock.ts';

type TimeWindowRule = Extract<RuleKind, { readonly kind: 'time_window' }>;

const MINUTE = 60_000;
const DAY = 86_400_000;
const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;

/**
 * Compiles a rule that refuses calls outside of its windows. Windows are of the zone's wall clock: hours that summer time skips do not
 * come, hours that come twice count twice.
 *
 * @throws RangeError when there is no such time zone
 */
export function compileTimeWindowRule({ windows, timeZone, violationEffect }: TimeWindowRule): RuleCode {
  const offsetAt = getZoneClock(timeZone);
  const checks = windows.map(createCheck);
  const expected = textOf(`${windows.map(windowText).join(' or ')} (${timeZone})`);
  const evaluate: Evaluate = ({ now }) => {
    const local = now + offsetAt(now);
    const day = Math.floor(local / DAY);
    const time = local - day * DAY;
    // The first of January 1970 was a Thursday.
    const weekday = (((day + 3) % 7) + 7) % 7;
    if (checks.some((isInside) => isInside(weekday, time))) {
      return undefined;
    }
    return {
      effect: violationEffect,
      failures: [{ path: '', check: 'time_window', expected, actual: localText(weekday, time) }],
    };
  };
  return createPlainRule(evaluate, { effects: [violationEffect] });
}

/** Asks for a day, 0 = Monday, and the milliseconds since its midnight. */
type WindowCheck = (weekday: number, time: number) => boolean;

function createCheck({ days, startMinute, endMinute }: TimeWindow): WindowCheck {
  const begins = weekdays.map((_, index) => days.length === 0 || days.some((day) => day === index + 1));
  const start = startMinute * MINUTE;
  const end = endMinute * MINUTE;
  if (end > start) {
    return (weekday, time) => begins[weekday] === true && time >= start && time < end;
  }
  return (weekday, time) =>
    (begins[weekday] === true && time >= start) || (begins[(weekday + 6) % 7] === true && time < end);
}

function windowText({ days, startMinute, endMinute }: TimeWindow): string {
  const names = days.length === 0 ? 'every day' : days.map((day) => weekdays[day - 1]).join(', ');
  return `${names} ${clockText(startMinute)}–${clockText(endMinute)}`;
}

function localText(weekday: number, time: number): string {
  return `${weekdays[weekday]} ${clockText(Math.floor(time / MINUTE))}`;
}

function clockText(minute: number): string {
  const twoDigits = (value: number) => String(value).padStart(2, '0');
  return `${twoDigits(Math.floor(minute / 60))}:${twoDigits(minute % 60)}`;
}

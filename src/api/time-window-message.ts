import { create } from '@bufbuild/protobuf';
import {
  TimeWindowRuleSchema,
  type TimeWindow as WindowMessage,
  type TimeWindowRule as WindowRuleMessage,
} from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { RuleKind, TimeWindow, Weekday } from '../domain/policy.ts';
import { fromRefusalMessage, toEffectMessage } from './effect-message.ts';

type TimeWindowRule = Extract<RuleKind, { kind: 'time_window' }>;

const DAY_MINUTES = 24 * 60;

/** The rule about times as the API shows it. */
export function toTimeWindowRuleMessage(rule: TimeWindowRule): WindowRuleMessage {
  return create(TimeWindowRuleSchema, {
    windows: rule.windows.map(({ days, startMinute, endMinute }) => ({
      days: [...days],
      start: toClock(startMinute),
      end: toClock(endMinute),
    })),
    timeZone: rule.timeZone,
    violationEffect: toEffectMessage(rule.violationEffect),
  });
}

/** The rule about times of a request, which the schema has checked; whether the time zone exists is not. */
export function fromTimeWindowRuleMessage(message: WindowRuleMessage): TimeWindowRule {
  return {
    kind: 'time_window',
    windows: message.windows.map(fromWindowMessage),
    timeZone: message.timeZone === '' ? 'UTC' : message.timeZone,
    violationEffect: fromRefusalMessage(message.violationEffect),
  };
}

function fromWindowMessage({ days, start, end }: WindowMessage): TimeWindow {
  return {
    days: days as readonly number[] as readonly Weekday[], // the schema lets only Monday (1) to Sunday (7) through
    startMinute: fromClock(start, 0),
    // The midnight that a window ends at is the one after it, whether written 00:00 or 24:00.
    endMinute: fromClock(end, DAY_MINUTES) || DAY_MINUTES,
  };
}

function toClock(minutes: number): string {
  const digits = (count: number) => String(count).padStart(2, '0');
  return `${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`;
}

function fromClock(text: string, empty: number): number {
  return text === '' ? empty : Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
}

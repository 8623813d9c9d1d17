import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import {
  type SequenceRule as SequenceMessage,
  SequenceRuleSchema,
  type SessionRule as SessionMessage,
  SessionRuleSchema,
} from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { RuleKind } from '../domain/policy.ts';
import { fromRefusalMessage, toEffectMessage } from './effect-message.ts';
import { fromPatternMessages, toPatternMessages } from './pattern-message.ts';
import { present } from './present.ts';

type SessionRule = Extract<RuleKind, { kind: 'session' }>;
type SequenceRule = Extract<RuleKind, { kind: 'sequence' }>;

/** The limits of a session as the API shows them. */
export function toSessionRuleMessage(rule: SessionRule): SessionMessage {
  return create(SessionRuleSchema, {
    maxCalls: rule.maxCalls,
    cumulativeLimits: rule.cumulativeLimits.map(({ path, maximum }) => ({ path, maximum })),
    counters: rule.counters.map(({ name, increment, decrement, maximum }) => ({
      name,
      increment: toPatternMessages(increment),
      decrement: toPatternMessages(decrement),
      maximum,
    })),
    violationEffect: toEffectMessage(rule.violationEffect),
  });
}

/** The limits of a session in a request. */
export function fromSessionRuleMessage(message: SessionMessage): SessionRule {
  return {
    kind: 'session',
    maxCalls: message.maxCalls,
    cumulativeLimits: message.cumulativeLimits.map(({ path, maximum }) => ({ path, maximum })),
    counters: message.counters.map(({ name, increment, decrement, maximum }) => ({
      name,
      increment: fromPatternMessages(increment),
      decrement: fromPatternMessages(decrement),
      maximum,
    })),
    violationEffect: fromRefusalMessage(message.violationEffect),
  };
}

/** The rule about the order of calls as the API shows it. */
export function toSequenceRuleMessage(rule: SequenceRule): SequenceMessage {
  return create(SequenceRuleSchema, {
    onlyAfter: toPatternMessages(rule.onlyAfter),
    ...present({ within: rule.withinMs === undefined ? undefined : durationFromMs(rule.withinMs) }),
    neverAfter: toPatternMessages(rule.neverAfter),
    violationEffect: toEffectMessage(rule.violationEffect),
  });
}

/** The rule about the order of calls of a request. */
export function fromSequenceRuleMessage(message: SequenceMessage): SequenceRule {
  return {
    kind: 'sequence',
    onlyAfter: fromPatternMessages(message.onlyAfter),
    ...present({ withinMs: message.within && Math.round(durationMs(message.within)) }),
    neverAfter: fromPatternMessages(message.neverAfter),
    violationEffect: fromRefusalMessage(message.violationEffect),
  };
}

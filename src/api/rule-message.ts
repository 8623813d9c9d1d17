import { hash } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  PolicyRuleSchema,
  RateScope as RateScopeMessage,
  type PolicyRule as RuleMessage,
} from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { PolicyRule, RateScope, RuleKind } from '../domain/policy.ts';
import { fromArgumentRuleMessage, toArgumentRuleMessage } from './argument-rule-message.ts';
import { fromEffectMessage, fromRefusalMessage, toEffectMessage } from './effect-message.ts';
import { fromEnumMessage } from './enum-message.ts';
import {
  fromSequenceRuleMessage,
  fromSessionRuleMessage,
  toSequenceRuleMessage,
  toSessionRuleMessage,
} from './session-rule-message.ts';
import { fromTimeWindowRuleMessage, toTimeWindowRuleMessage } from './time-window-message.ts';

const RATE_SCOPES: Readonly<Record<RateScope, RateScopeMessage>> = {
  agent: RateScopeMessage.AGENT,
  user: RateScopeMessage.USER,
  session: RateScopeMessage.SESSION,
  global: RateScopeMessage.GLOBAL,
};

/** The rule as the API shows it. */
export function toRuleMessage({ id, message, says }: PolicyRule): RuleMessage {
  return create(PolicyRuleSchema, { id, message, kind: toKindMessage(says) });
}

/** The rules of a request, which the schema has checked; a rule without an id gets one. */
export function fromRuleMessages(messages: readonly RuleMessage[]): PolicyRule[] {
  const taken = new Set(messages.map(({ id }) => id));
  return messages.map(({ id, message, kind }) => {
    const says = fromKindMessage(kind);
    return { id: id === '' ? makeId(says, taken) : id, message, says };
  });
}

/**
 * An id made of what the rule says: a rule that is saved again, at whatever place, keeps its id and so the state under it, and one that
 * is changed begins anew.
 */
function makeId(says: RuleKind, taken: Set<string>): string {
  const base = `${says.kind.replace('_', '-')}-${hash('sha256', JSON.stringify(says), 'hex').slice(0, 8)}`;
  let id = base;
  for (let count = 2; taken.has(id); count++) {
    id = `${base}-${count}`;
  }
  taken.add(id);
  return id;
}

function toKindMessage(says: RuleKind): RuleMessage['kind'] {
  switch (says.kind) {
    case 'effect':
      return kindOf({ case: 'effect', value: { effect: toEffectMessage(says.effect) } });
    case 'tools': {
      const lists = { allowedTools: [...says.allowedTools], deniedTools: [...says.deniedTools] };
      return kindOf({ case: 'tools', value: { ...lists, violationEffect: toEffectMessage(says.violationEffect) } });
    }
    case 'arguments':
      return { case: 'arguments', value: toArgumentRuleMessage(says) };
    case 'condition': {
      const { expression, effect } = says;
      return kindOf({ case: 'condition', value: { expression, effect: toEffectMessage(effect) } });
    }
    case 'time_window':
      return { case: 'timeWindow', value: toTimeWindowRuleMessage(says) };
    case 'rate': {
      const { maxCalls, windowSeconds, per, violationEffect } = says;
      const value = {
        maxCalls,
        windowSeconds,
        per: RATE_SCOPES[per],
        violationEffect: toEffectMessage(violationEffect),
      };
      return kindOf({ case: 'rate', value });
    }
    case 'session':
      return { case: 'session', value: toSessionRuleMessage(says) };
    case 'sequence':
      return { case: 'sequence', value: toSequenceRuleMessage(says) };
  }
}

function fromKindMessage({ case: kind, value }: RuleMessage['kind']): RuleKind {
  switch (kind) {
    case undefined:
      // The schema demands a kind; without one, nothing may pass.
      return { kind: 'effect', effect: 'deny' };
    case 'effect':
      return { kind: 'effect', effect: fromEffectMessage(value.effect) ?? 'deny' };
    case 'tools': {
      const { allowedTools, deniedTools } = value;
      return { kind: 'tools', allowedTools, deniedTools, violationEffect: fromRefusalMessage(value.violationEffect) };
    }
    case 'arguments':
      return fromArgumentRuleMessage(value);
    case 'condition':
      return { kind: 'condition', expression: value.expression, effect: fromEffectMessage(value.effect) ?? 'deny' };
    case 'timeWindow':
      return fromTimeWindowRuleMessage(value);
    case 'rate': {
      const { maxCalls, windowSeconds } = value;
      const per = fromEnumMessage(RATE_SCOPES, value.per) ?? 'global';
      return { kind: 'rate', maxCalls, windowSeconds, per, violationEffect: fromRefusalMessage(value.violationEffect) };
    }
    case 'session':
      return fromSessionRuleMessage(value);
    case 'sequence':
      return fromSequenceRuleMessage(value);
  }
}

function kindOf(kind: NonNullable<MessageInitShape<typeof PolicyRuleSchema>['kind']>): RuleMessage['kind'] {
  return create(PolicyRuleSchema, { kind }).kind;
}

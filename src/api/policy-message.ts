import { create } from '@bufbuild/protobuf';
import {
  Effect as EffectMessage,
  PolicyRuleSchema,
  type PolicyRule as RuleMessage,
} from '../../gen/portcullis/v1/policy_pb.ts';
import { newId } from '../domain/ids.ts';
import type { Effect, PolicyRule } from '../domain/project.ts';

const EFFECTS: Readonly<Record<Effect, EffectMessage>> = {
  allow: EffectMessage.ALLOW,
  deny: EffectMessage.DENY,
  require_approval: EffectMessage.REQUIRE_APPROVAL,
};

/** The effect as the API shows it. */
export function toEffectMessage(effect: Effect): EffectMessage {
  return EFFECTS[effect];
}

/** The effect of a request; undefined when it is not set. */
export function fromEffectMessage(message: EffectMessage | undefined): Effect | undefined {
  switch (message) {
    case EffectMessage.ALLOW:
      return 'allow';
    case EffectMessage.DENY:
      return 'deny';
    case EffectMessage.REQUIRE_APPROVAL:
      return 'require_approval';
    default:
      return undefined;
  }
}

/** The rule as the API shows it. */
export function toRuleMessage(rule: PolicyRule): RuleMessage {
  return create(PolicyRuleSchema, { ...rule, effect: toEffectMessage(rule.effect) });
}

/** The rules of a request, which the schema has checked; a rule without an id gets one. */
export function fromRuleMessages(messages: readonly RuleMessage[]): PolicyRule[] {
  return messages.map(({ id, upstreamPattern, toolPattern, effect, message }) => ({
    id: id === '' ? newId() : id,
    upstreamPattern,
    toolPattern,
    effect: fromEffectMessage(effect) ?? 'deny',
    message,
  }));
}

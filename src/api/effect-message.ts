import { Effect as EffectMessage } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import type { Effect } from '../domain/decision.ts';
import type { Refusal } from '../domain/policy.ts';
import { fromEnumMessage } from './enum-message.ts';

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
  return fromEnumMessage(EFFECTS, message);
}

/** How a request wants calls refused; DENY when it does not say. */
export function fromRefusalMessage(message: EffectMessage): Refusal {
  return message === EffectMessage.REQUIRE_APPROVAL ? 'require_approval' : 'deny';
}

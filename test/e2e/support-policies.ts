import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PolicyContentSchema } from '../../gen/portcullis/v1/policy_pb.ts';
import type { PolicyRuleSchema } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { createPortcullisClient, type PortcullisClient } from '../../sdk/src/client.ts';
import { login } from '../../sdk/src/login.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';

export type PolicyContentInit = MessageInitShape<typeof PolicyContentSchema>;
export type RuleKindInit = NonNullable<MessageInitShape<typeof PolicyRuleSchema>['kind']>;

/** The SDK's client of a gateway, with its first key or another credential. */
export function sdkOf({ baseUrl, apiKey }: GatewayProcess, credential: string = apiKey): PortcullisClient {
  return createPortcullisClient({ baseUrl, apiKey: credential });
}

/** The SDK's client of the gateway's first user, who is an operator. */
export function operatorOf({ baseUrl, adminPassword }: GatewayProcess): Promise<PortcullisClient> {
  return login({ baseUrl, username: 'admin', password: adminPassword });
}

/** A policy of one rule, `r`, for the tools that match. */
export function policyOf(toolPattern: string, kind: RuleKindInit, more: PolicyContentInit = {}): PolicyContentInit {
  return { targets: [{ toolPattern }], rules: [{ id: 'r', kind }], ...more };
}

/** A rule that says the same about every call. */
export function effectRule(effect: Effect): RuleKindInit {
  return { case: 'effect', value: { effect } };
}

/** A rule that denies calls whose number at the path is above a maximum. */
export function maximumRule(path: string, maximum: number): RuleKindInit {
  return { case: 'arguments', value: { constraints: [{ path, type: { case: 'number', value: { maximum } } }] } };
}

export const deny = effectRule(Effect.DENY);
export const requireApproval = effectRule(Effect.REQUIRE_APPROVAL);

/** Names a resource by its slug. */
export function slugRef(slug: string) {
  return { value: { case: 'slug' as const, value: slug } };
}

import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  ApprovalBehavior as BehaviorMessage,
  type PolicyContent as ContentMessage,
  EnforcementMode as ModeMessage,
  PolicyContentSchema,
  type Policy as PolicyMessage,
  PolicySchema,
  type ApprovalSettings as SettingsMessage,
} from '../../gen/portcullis/v1/policy_pb.ts';
import {
  type ApprovalBehavior,
  type ApprovalSettings,
  defaultApprovalSettings,
  type EnforcementMode,
  type Policy,
  type PolicyContent,
  type PolicySubjects,
} from '../domain/policy.ts';
import { fromEnumMessage } from './enum-message.ts';
import { etagOf } from './etag.ts';
import { fromPatternMessages, toPatternMessages } from './pattern-message.ts';
import { present } from './present.ts';
import { fromRuleMessages, toRuleMessage } from './rule-message.ts';

const MODES: Readonly<Record<EnforcementMode, ModeMessage>> = {
  enforce: ModeMessage.ENFORCE,
  shadow: ModeMessage.SHADOW,
  off: ModeMessage.OFF,
};

const BEHAVIORS: Readonly<Record<ApprovalBehavior, BehaviorMessage>> = {
  error: BehaviorMessage.ERROR,
  hold: BehaviorMessage.HOLD,
  elicit: BehaviorMessage.ELICIT,
};

/** The policy as the API shows it. */
export function toPolicyMessage(policy: Policy): PolicyMessage {
  return create(PolicySchema, {
    id: policy.id,
    projectId: policy.projectId,
    slug: policy.slug,
    content: toPolicyContentMessage(policy.content),
    version: policy.version,
    latestVersion: policy.latestVersion,
    etag: etagOf(policy),
    createTime: timestampFromMs(policy.createTime),
    updateTime: timestampFromMs(policy.updateTime),
  });
}

/** What a policy says, as the API shows it: with every default filled in; subjects are unset when it is everybody. */
export function toPolicyContentMessage(content: PolicyContent): ContentMessage {
  return create(PolicyContentSchema, {
    displayName: content.displayName,
    priority: content.priority,
    mode: MODES[content.mode],
    ...present({ subjects: toSubjects(content.subjects) }),
    targets: toPatternMessages(content.targets),
    rules: content.rules.map(toRuleMessage),
    approval: toSettings(content.approval),
  });
}

/** The content of a request, which the schema has checked. What could not work is found by `checkPolicy`. */
export function fromPolicyContentMessage(message: ContentMessage): PolicyContent {
  const { agentIds = [], userIds = [], apiKeyIds = [], teams = [] } = message.subjects ?? {};
  return {
    displayName: message.displayName,
    priority: message.priority,
    mode: fromEnumMessage(MODES, message.mode) ?? 'enforce',
    subjects: { agentIds, userIds, apiKeyIds, teams },
    targets: fromPatternMessages(message.targets),
    rules: fromRuleMessages(message.rules),
    approval: fromSettings(message.approval),
  };
}

function toSubjects({ agentIds, userIds, apiKeyIds, teams }: PolicySubjects) {
  const isEverybody = [agentIds, userIds, apiKeyIds, teams].every((list) => list.length === 0);
  return isEverybody
    ? undefined
    : { agentIds: [...agentIds], userIds: [...userIds], apiKeyIds: [...apiKeyIds], teams: [...teams] };
}

function toSettings(settings: ApprovalSettings) {
  return {
    behavior: BEHAVIORS[settings.behavior],
    expireAfter: durationFromMs(settings.expireAfterMs),
    holdTimeout: durationFromMs(settings.holdTimeoutMs),
    requiredApprovals: settings.requiredApprovals,
    approverIds: [...settings.approverIds],
    allowSelfApproval: settings.allowSelfApproval,
  };
}

function fromSettings(message: SettingsMessage | undefined): ApprovalSettings {
  if (message === undefined) {
    return defaultApprovalSettings;
  }
  const { behavior, expireAfter, holdTimeout, requiredApprovals, approverIds, allowSelfApproval } = message;
  return {
    ...defaultApprovalSettings,
    ...present({
      behavior: fromEnumMessage(BEHAVIORS, behavior),
      expireAfterMs: expireAfter && Math.round(durationMs(expireAfter)),
      holdTimeoutMs: holdTimeout && Math.round(durationMs(holdTimeout)),
      requiredApprovals: requiredApprovals === 0 ? undefined : requiredApprovals,
    }),
    approverIds,
    allowSelfApproval,
  };
}

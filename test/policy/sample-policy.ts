import type { PolicyId, ProjectId } from '../../src/domain/ids.ts';
import {
  type CallPattern,
  defaultApprovalSettings,
  type Policy,
  type PolicyContent,
  type RuleKind,
} from '../../src/domain/policy.ts';
import { checkPolicy } from '../../src/policy/check-policy.ts';

/** No subjects: the policy decides everybody's calls. */
export const everybody = { agentIds: [], userIds: [], apiKeyIds: [], teams: [] };

/** Content with these rules, named r0, r1 and so on. */
export function content(rules: readonly RuleKind[], changes: Partial<PolicyContent> = {}): PolicyContent {
  return {
    displayName: '',
    priority: 0,
    mode: 'enforce',
    subjects: everybody,
    targets: patterns('*'),
    rules: rules.map((says, index) => ({ id: `r${index}`, message: '', says })),
    approval: defaultApprovalSettings,
    ...changes,
  };
}

/** A policy with such content. */
export function policy(slug: string, rules: readonly RuleKind[], changes: Partial<PolicyContent> = {}): Policy {
  return {
    id: `id-of-${slug}` as PolicyId,
    projectId: 'project' as ProjectId,
    slug,
    content: content(rules, changes),
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

/** Patterns of calls, each `tool` or `upstream/tool`. */
export function patterns(...texts: readonly string[]): CallPattern[] {
  return texts.map((text) => {
    const [first = '', second] = text.split('/');
    return second === undefined
      ? { upstreamPattern: '*', toolPattern: first }
      : { upstreamPattern: first, toolPattern: second };
  });
}

/** A rule that denies what does not come after one of these calls. */
export function onlyAfter(...before: readonly string[]): Extract<RuleKind, { kind: 'sequence' }> {
  return { kind: 'sequence', onlyAfter: patterns(...before), neverAfter: [], violationEffect: 'deny' };
}

/** The violations of such content, as `field: description`. */
export function check(
  rules: readonly RuleKind[],
  changes: Partial<PolicyContent> = {},
  others: readonly Policy[] = [],
) {
  return checkPolicy(content(rules, changes), others).map(({ field, description }) => `${field}: ${description}`);
}

import type { ApprovalRequirement } from '../domain/approval.ts';
import type { PolicyVersionRef } from '../domain/decision.ts';
import {
  type ApprovalSettings,
  type CallPattern,
  defaultApprovalSettings,
  type Policy,
  type PolicyContent,
  type PolicySubjects,
} from '../domain/policy.ts';
import { createBrokenRule } from './broken-rule.ts';
import { compareText } from './compare-text.ts';
import { compileRule } from './compile-rule.ts';
import type { RuleCode } from './compiled-rule.ts';

/** A policy that is ENFORCE or SHADOW, prepared for calls. */
export interface CompiledPolicy {
  readonly ref: PolicyVersionRef;
  readonly priority: number;
  readonly isShadow: boolean;
  readonly subjects: PolicySubjects;
  readonly targets: readonly CallPattern[];
  /** The targets, and what its rules observe besides: a call that none of them matches does not concern the policy. */
  readonly patterns: readonly CallPattern[];
  /** Sorted by id. */
  readonly rules: readonly CompiledRule[];
  readonly approval: ApprovalSettings;
  readonly requirement: ApprovalRequirement;
}

/** One rule of it. */
export interface CompiledRule {
  readonly policy: CompiledPolicy;
  /** `policy slug/rule id`. */
  readonly name: string;
  /** Unique within the policy. */
  readonly id: string;
  readonly message: string;
  /** Where its state is kept: `policy id/rule id/`. */
  readonly stateKey: string;
  readonly code: RuleCode;
}

const compiled = new WeakMap<Policy, CompiledPolicy | undefined>();

/** Compiles a policy, once; undefined when its mode is OFF. Never throws: what cannot be read denies every call. */
export function compilePolicy(policy: Policy): CompiledPolicy | undefined {
  if (compiled.has(policy)) {
    return compiled.get(policy);
  }
  const made = tryCompile(policy);
  compiled.set(policy, made);
  return made;
}

function tryCompile(policy: Policy): CompiledPolicy | undefined {
  try {
    return policy.content.mode === 'off' ? undefined : compileContent(policy);
  } catch (error) {
    return createBrokenPolicy(policy, error);
  }
}

function compileContent(policy: Policy): CompiledPolicy {
  const { priority, mode, subjects, targets, rules, approval } = policy.content;
  requireReadable(policy.content);
  const { requiredApprovals, approverIds, allowSelfApproval } = approval;
  const shell = {
    ref: { id: policy.id, slug: policy.slug, version: policy.version },
    priority,
    isShadow: mode === 'shadow',
    subjects,
    targets,
    approval,
    requirement: {
      policyId: policy.id,
      policySlug: policy.slug,
      policyVersion: policy.version,
      requiredApprovals,
      approverIds,
      allowSelfApproval,
    },
  };
  return withRules(
    shell,
    rules.map(({ id, message, says }) => ({ id, message, code: compileRule(says) })),
  );
}

/** What is stored was checked when it was saved; this is for rows that something else wrote. */
function requireReadable({ priority, mode, subjects, targets }: PolicyContent): void {
  const { agentIds, userIds, apiKeyIds, teams } = subjects;
  const isReadable =
    Number.isFinite(priority) &&
    (mode === 'enforce' || mode === 'shadow') &&
    [agentIds, userIds, apiKeyIds, teams].every(Array.isArray) &&
    targets.every(({ upstreamPattern, toolPattern }) => isText(upstreamPattern) && isText(toolPattern));
  if (!isReadable) {
    throw new Error('the policy is not as it was saved');
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

/** The highest priority: nothing may come before what could not be read. */
const HIGHEST = 1000;

function createBrokenPolicy({ id, slug, version }: Policy, error: unknown): CompiledPolicy {
  return withRules(
    {
      ref: { id, slug, version },
      priority: HIGHEST,
      isShadow: false,
      subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
      targets: [{ upstreamPattern: '*', toolPattern: '*' }],
      approval: defaultApprovalSettings,
      requirement: {
        policyId: id,
        policySlug: slug,
        policyVersion: version,
        requiredApprovals: 1,
        approverIds: [],
        allowSelfApproval: false,
      },
    },
    [{ id: 'policy', message: '', code: createBrokenRule(error) }],
  );
}

function withRules(
  shell: Omit<CompiledPolicy, 'rules' | 'patterns'>,
  parts: readonly Pick<CompiledRule, 'id' | 'message' | 'code'>[],
): CompiledPolicy {
  const rules: CompiledRule[] = [];
  const patterns = [...shell.targets, ...parts.flatMap(({ code }) => code.observes)];
  const policy: CompiledPolicy = { ...shell, patterns, rules };
  for (const part of parts.toSorted((one, other) => compareText(one.id, other.id))) {
    rules.push({ ...part, policy, name: `${shell.ref.slug}/${part.id}`, stateKey: `${shell.ref.id}/${part.id}/` });
  }
  return policy;
}

import { type FieldViolation, GatewayError } from '../domain/errors.ts';
import type { ApprovalSettings, Policy, PolicyContent, PolicyRule } from '../domain/policy.ts';
import { checkArguments } from './check-arguments.ts';
import { type CheckLimits, createCheckLimits } from './check-limits.ts';
import { createReport, type Report } from './check-report.ts';
import { checkSequence, checkSession, checkTimeWindow, checkToolLists } from './check-rule.ts';
import { compileCondition } from './condition.ts';
import { addWeights, weighContent, weighPolicy } from './policy-weight.ts';
import { findUnreachableSequences } from './sequence-cycles.ts';

/** What the policies of a project, without those that are OFF, may take together: some 3 s to compile, and 200 MB. */
const MAX_PROJECT = { text: 8 * 1024 * 1024, expressions: 256 * 1024, regexes: 200_000 };

/**
 * Finds what of a policy could not work, by itself or together with the project's other policies, with the place of each: paths and
 * expressions that cannot be read, checks that nothing passes, rules that say nothing. The others are only looked at when there is nothing
 * wrong with the policy itself. Empty = nothing.
 */
export function checkPolicy(content: PolicyContent, others: readonly Policy[]): FieldViolation[] {
  const violations = checkContent(content);
  return violations.length > 0 ? violations : checkAmongOthers(content, others);
}

/** Finds what could not work of a policy by itself; takes a quarter of a second at most. */
export function checkContent(content: PolicyContent): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const report = createReport('content', violations);
  const limits = createCheckLimits();
  if (content.targets.length === 0) report.at('targets').add('must name at least one pattern');
  checkApproval(content.approval, report.at('approval'));
  checkIds(content.rules, report);
  for (const [index, rule] of content.rules.entries()) {
    checkRule(rule, report.at(`rules[${index}]`), limits);
  }
  return violations;
}

/** Finds what could not work of a policy, which {@link checkContent} found nothing wrong with, together with the others. */
export function checkAmongOthers(content: PolicyContent, others: readonly Policy[]): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const report = createReport('content', violations);
  report.at('rules').try(() => {
    for (const { index, reason } of findUnreachableSequences(content, others)) {
      report.at(`rules[${index}].sequence.only_after`).add(reason);
    }
  });
  if (content.mode !== 'off') report.at('rules').try(() => requireRoom(content, others));
  return violations;
}

function requireRoom(content: PolicyContent, others: readonly Policy[]): void {
  const own = weighContent(content);
  const all = addWeights([own, ...others.map(weighPolicy)]);
  for (const [kind, what] of [
    ['text', 'The policies'],
    ['expressions', 'The CEL expressions'],
    ['regexes', 'The regular expressions'],
  ] as const) {
    // A policy that has none of a kind is not to blame.
    if (own[kind] > 0 && all[kind] > MAX_PROJECT[kind]) {
      const message = `${what} of the project are too large together: make this policy smaller, or delete another or turn it off.`;
      throw new GatewayError('validation_failed', message);
    }
  }
}

function checkApproval({ requiredApprovals, approverIds }: ApprovalSettings, report: Report): void {
  const approvers = new Set(approverIds).size;
  if (approvers > 0 && requiredApprovals > approvers) {
    report.at('required_approvals').add(`asks for ${requiredApprovals} approvals, but approver_ids names ${approvers}`);
  }
}

function checkIds(rules: readonly PolicyRule[], report: Report): void {
  const seen = new Set<string>();
  for (const [index, { id }] of rules.entries()) {
    // Without an id, the server makes one.
    if (id !== '' && seen.has(id))
      report.at(`rules[${index}].id`).add('is used by an earlier rule: each id may be used once');
    seen.add(id);
  }
}

function checkRule({ says }: PolicyRule, report: Report, limits: CheckLimits): void {
  switch (says.kind) {
    case 'tools':
      return checkToolLists(says, report.at('tools'));
    case 'arguments':
      return checkArguments(says, report.at('arguments'), limits);
    case 'condition':
      return checkCondition(says.expression, report.at('condition.expression'), limits);
    case 'time_window':
      return checkTimeWindow(says, report.at('time_window'));
    case 'session':
      return checkSession(says, report.at('session'));
    case 'sequence':
      return checkSequence(says, report.at('sequence'));
    case 'effect':
    case 'rate':
      return undefined;
  }
}

function checkCondition(expression: string, report: Report, limits: CheckLimits): void {
  if (limits.isExceeded()) return;
  report.try(() => limits.addExpression(expression, () => compileCondition(expression).regexSize));
}

import type { DecisionReason } from '../domain/decision.ts';
import type { Effect, PolicyRule, Project } from '../domain/project.ts';
import type { Upstream } from '../domain/upstream.ts';
import { matchesPattern } from './pattern.ts';
import { passesToolFilter } from './tool-filter.ts';

/** What is decided about: a governed JSON-RPC request to one upstream. */
export interface PolicyInput {
  readonly upstream: Upstream;
  readonly method: string;
  /** Name of the tool or prompt, or URI of the resource; absent for a method that names none. */
  readonly tool: string | undefined;
}

/** The answer of {@link decide}: the effect, and what led to it. */
export interface Verdict {
  readonly effect: Effect;
  readonly reason: DecisionReason;
  readonly ruleIds: readonly string[];
  /** Written for the caller. */
  readonly message: string;
}

/** Decides one call: the upstream's tool filter, then the project's rules in order, then its default. Pure; never throws. */
export function decide(project: Project, input: PolicyInput): Verdict {
  if (input.method === 'tools/call' && !passesToolFilter(input.upstream.toolFilter, input.tool ?? '')) {
    return verdict(
      'deny',
      'tool_filter',
      [],
      `The tool filter of the upstream '${input.upstream.slug}' denies '${input.tool}'.`,
    );
  }
  const rule = project.policyRules.find((candidate) => matchesRule(candidate, input));
  if (rule !== undefined) {
    return verdict(rule.effect, 'rule', [rule.id], rule.message || textOfEffect(rule.effect, `rule '${rule.id}'`));
  }
  return projectDefaults[project.defaultEffect];
}

function matchesRule(rule: PolicyRule, input: PolicyInput): boolean {
  return (
    matchesPattern(rule.upstreamPattern, input.upstream.slug) && matchesPattern(rule.toolPattern, input.tool ?? '')
  );
}

function verdict(effect: Effect, reason: DecisionReason, ruleIds: readonly string[], message: string): Verdict {
  return { effect, reason, ruleIds, message };
}

function textOfEffect(effect: Effect, by: string): string {
  switch (effect) {
    case 'allow':
      return `Allowed by ${by}.`;
    case 'deny':
      return `Denied by ${by}.`;
    case 'require_approval':
      return `A human must approve this call: so says ${by}.`;
  }
}

const projectDefaults: Readonly<Record<Effect, Verdict>> = {
  allow: verdict('allow', 'project_default', [], textOfEffect('allow', 'the default of the project')),
  deny: verdict('deny', 'project_default', [], textOfEffect('deny', 'the default of the project, as no rule matched')),
  require_approval: verdict(
    'require_approval',
    'project_default',
    [],
    textOfEffect('require_approval', 'the default of the project'),
  ),
};

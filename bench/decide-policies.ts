import type { PolicyId, PrincipalId, ProjectId } from '../src/domain/ids.ts';
import {
  type CallPattern,
  defaultApprovalSettings,
  type Policy,
  type PolicyContent,
  type PolicyRule,
} from '../src/domain/policy.ts';
import type { PolicyCall } from '../src/policy/policy-call.ts';

/** Ten policies that all fit every call of {@link callOf}: each stateless kind of rule, one policy in SHADOW mode, one for a team. */
export function tenPolicies(): Policy[] {
  const tool = [anywhere('tool-*')];
  return [
    policy('amount', tool, [amountRule(1000), countryRule]),
    policy('items', tool, [itemsRule]),
    policy('text', tool, [textRule]),
    policy('condition', tool, [conditionRule]),
    policy('hours', tool, [hoursRule]),
    policy('tools', tool, [{ id: 'r', message: '', says: toolList(['admin-*', 'delete-*']) }]),
    policy('shadow', tool, [amountRule(500)], { mode: 'shadow' }),
    policy('team', tool, [amountRule(2000)], { subjects: { ...everybody, teams: ['ops'] } }),
    policy('upstream', [{ upstreamPattern: 'bank', toolPattern: '*' }], [amountRule(5000)], { priority: 500 }),
    policy('allow', [anywhere('*')], [{ id: 'r', message: '', says: { kind: 'effect', effect: 'allow' } }], {
      priority: 0,
    }),
  ];
}

/** Two rules with state, for the same calls. */
export function statePolicies(): Policy[] {
  const counted = { violationEffect: 'deny' as const };
  return [
    policy(
      'rate',
      [anywhere('*')],
      [{ id: 'r', message: '', says: { kind: 'rate', maxCalls: 100, windowSeconds: 60, per: 'agent', ...counted } }],
    ),
    policy(
      'session',
      [anywhere('*')],
      [
        {
          id: 'r',
          message: '',
          says: {
            kind: 'session',
            maxCalls: 1000,
            cumulativeLimits: [{ path: 'amount', maximum: 1e9 }],
            counters: [],
            ...counted,
          },
        },
      ],
    ),
  ];
}

/** 2,000 policies of five rules each; every one is for a tool of its own. */
export function manyPolicies(): Policy[] {
  return Array.from({ length: 2000 }, (_, index) =>
    policy(
      `policy-${index}`,
      [anywhere(`tool-${index}`)],
      [
        amountRule(1000),
        countryRule,
        textRule,
        conditionRule,
        { id: 'allow', message: '', says: { kind: 'effect', effect: 'allow' } },
      ],
    ),
  );
}

/** The calls go round so many tools, so that no lookup is always the same. */
export const TOOLS = 512;

/** A call of one of the tools; all rules let it through. */
export function callOf(index: number): PolicyCall {
  return {
    principal: {
      kind: 'agent',
      id: `agent-${index % 8}` as PrincipalId,
      name: 'bench',
      projectId: 'project' as ProjectId,
      teams: ['ops'],
    },
    upstream: { slug: 'bank', toolFilter: { allowedTools: [], deniedTools: ['internal-*'] } },
    method: 'tools/call',
    tool: `tool-${index % TOOLS}`,
    arguments: {
      amount: 12.5 + index,
      customer: { address: { country: 'DE' } },
      items: [{ sku: 'a-1' }, { sku: 'b-2' }],
      note: 'an ordinary payment',
    },
    session: 'session',
  };
}

const everybody = { agentIds: [], userIds: [], apiKeyIds: [], teams: [] };

function policy(
  slug: string,
  targets: readonly CallPattern[],
  rules: readonly PolicyRule[],
  content: Partial<PolicyContent> = {},
): Policy {
  return {
    id: `id-of-${slug}` as PolicyId,
    projectId: 'project' as ProjectId,
    slug,
    content: {
      displayName: '',
      priority: 100,
      mode: 'enforce',
      subjects: everybody,
      targets,
      rules,
      approval: defaultApprovalSettings,
      ...content,
    },
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

function anywhere(toolPattern: string): CallPattern {
  return { upstreamPattern: '*', toolPattern };
}

function toolList(deniedTools: readonly string[]): PolicyRule['says'] {
  return { kind: 'tools', allowedTools: [], deniedTools, violationEffect: 'deny' };
}

function amountRule(maximum: number): PolicyRule {
  return constraintRule('amount', {
    path: 'amount',
    required: true,
    type: { kind: 'number', minimum: 0, maximum },
  });
}

const countryRule = constraintRule('country', {
  path: 'customer.address.country',
  required: true,
  type: { kind: 'string', in: ['DE', 'FR', 'NL'], notIn: [] },
});
const itemsRule = constraintRule('items', {
  path: 'items[*].sku',
  required: false,
  type: { kind: 'string', in: [], notIn: [], maxLength: 16 },
});
const textRule = constraintRule('note', {
  path: 'note',
  required: false,
  type: { kind: 'string', in: [], notIn: [], maxLength: 200 },
});
const conditionRule: PolicyRule = {
  id: 'condition',
  message: '',
  says: {
    kind: 'condition',
    expression: "call.arguments.amount > 900.0 && !('ops' in principal.teams)",
    effect: 'deny',
  },
};
const hoursRule: PolicyRule = {
  id: 'hours',
  message: '',
  says: {
    kind: 'time_window',
    windows: [{ days: [], startMinute: 0, endMinute: 1440 }],
    timeZone: 'Europe/Berlin',
    violationEffect: 'deny',
  },
};

function constraintRule(
  id: string,
  constraint: Omit<Extract<PolicyRule['says'], { kind: 'arguments' }>['constraints'][number], 'effect' | 'notNull'>,
): PolicyRule {
  const constraints = [{ effect: 'deny' as const, notNull: false, ...constraint }];
  return { id, message: '', says: { kind: 'arguments', constraints, evaluation: 'fail_fast' } };
}

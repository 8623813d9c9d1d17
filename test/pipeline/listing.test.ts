import { describe, expect, test } from 'vitest';
import type { Effect } from '../../src/domain/decision.ts';
import type { PolicyId, PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import { defaultApprovalSettings, type Policy, type PolicyContent } from '../../src/domain/policy.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Project } from '../../src/domain/project.ts';
import { createListing, type ListedCall } from '../../src/pipeline/listing.ts';
import { createPolicySets } from '../../src/pipeline/policy-sets.ts';

const PROJECT = {
  id: 'project-1' as ProjectId,
  slug: 'default',
  displayName: '',
  recordedArguments: 'redacted',
  redactedKeys: [],
  defaultEffect: 'allow',
  revision: 1,
  createTime: 0,
  updateTime: 0,
} satisfies Project;

const nobody = { agentIds: [], userIds: [], apiKeyIds: [], teams: [] };

function policy(slug: string, content: Partial<PolicyContent>): Policy {
  return {
    id: slug as PolicyId,
    projectId: PROJECT.id,
    slug,
    content: {
      displayName: '',
      priority: 0,
      mode: 'enforce',
      subjects: nobody,
      targets: [{ upstreamPattern: '*', toolPattern: '*' }],
      rules: [{ id: 'deny', message: '', says: { kind: 'effect', effect: 'deny' } }],
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

function deny(tool: string, upstream = '*', content: Partial<PolicyContent> = {}): Policy {
  return policy(`deny-${tool}`, { targets: [{ upstreamPattern: upstream, toolPattern: tool }], ...content });
}

function principal(id: string): Principal {
  return {
    kind: 'user',
    id: id as PrincipalId,
    projectId: PROJECT.id,
    name: id,
    scopes: new Set(['tools:call'] as const),
    grants: 'all',
    teams: [],
  };
}

/** A listing under policies that a test may replace. */
function listingOf(...policies: readonly Policy[]) {
  let current = policies;
  let project: Project = PROJECT;
  const config = { getProject: () => project, getPolicies: () => current };
  return {
    listing: createListing({ config, policies: createPolicySets(config) }),
    setPolicies: (...next: readonly Policy[]) => {
      current = next;
    },
    setDefault: (defaultEffect: Effect) => {
      project = { ...project, defaultEffect };
    },
  };
}

interface Item {
  readonly name: string;
}

const ann = principal('ann');
const bob = principal('bob');
const upstream = { slug: 'shop' };
const toolCall = ({ name }: Item): ListedCall => ({ upstream, method: 'tools/call', tool: name });
const itemsOf = (...names: readonly string[]): readonly Item[] => names.map((name) => ({ name }));
const namesOf = (items: readonly Item[]) => items.map(({ name }) => name);

describe('a list', () => {
  test('is the list itself where nothing is hidden', () => {
    const { listing } = listingOf(deny('drop'));
    const items = itemsOf('get', 'set');
    expect(listing.visible(ann, items, toolCall)).toBe(items);
  });

  test('is without what rules deny to this principal whatever the arguments', () => {
    const { listing } = listingOf(
      deny('drop'),
      deny('set', 'shop', { subjects: { ...nobody, userIds: [bob.id] } }),
      deny('get', 'bank'),
    );
    const items = itemsOf('get', 'set', 'drop');
    expect(namesOf(listing.visible(ann, items, toolCall))).toEqual(['get', 'set']);
    expect(namesOf(listing.visible(bob, items, toolCall))).toEqual(['get']);
  });

  test('has what could be allowed with some arguments, at some time, or by an approval', () => {
    const says = { kind: 'condition', expression: 'call.arguments.amount > 10', effect: 'deny' } as const;
    const ask = { kind: 'effect', effect: 'require_approval' } as const;
    const { listing } = listingOf(
      policy('amounts', { rules: [{ id: 'large', message: '', says }] }),
      policy('ask', { rules: [{ id: 'ask', message: '', says: ask }], priority: -1 }),
    );
    const items = itemsOf('pay');
    expect(listing.visible(ann, items, toolCall)).toBe(items);
  });

  test('is without what the tool filter of its upstream denies, which holds for tools only', () => {
    const { listing } = listingOf();
    const filtered = { slug: 'shop', toolFilter: { allowedTools: ['get*'], deniedTools: ['get_all'] } };
    const items = itemsOf('get_one', 'get_all', 'set');
    const callOf =
      (method: string) =>
      ({ name }: Item) => ({ upstream: filtered, method, tool: name });
    expect(namesOf(listing.visible(ann, items, callOf('tools/call')))).toEqual(['get_one']);
    const prompts = itemsOf('get_one', 'get_all', 'set');
    expect(listing.visible(ann, prompts, callOf('prompts/get'))).toBe(prompts);
  });

  test('is empty where the default denies and no rule allows', () => {
    const { listing, setDefault } = listingOf(
      policy('open', {
        targets: [{ upstreamPattern: '*', toolPattern: 'get' }],
        rules: [{ id: 'allow', message: '', says: { kind: 'effect', effect: 'allow' } }],
      }),
    );
    setDefault('deny');
    expect(namesOf(listing.visible(ann, itemsOf('get', 'set'), toolCall))).toEqual(['get']);
  });
});

describe('the same list for the same principal', () => {
  test('is the same array, and costs no question', () => {
    const { listing } = listingOf(deny('drop'));
    const items = itemsOf('get', 'drop');
    const first = listing.visible(ann, items, toolCall);
    const asked: string[] = [];
    const second = listing.visible(ann, items, (item) => {
      asked.push(item.name);
      return toolCall(item);
    });
    expect(second).toBe(first);
    expect(asked).toEqual([]);
  });

  test('is the same array as for another who sees the same of it', () => {
    const { listing } = listingOf(deny('drop'));
    const items = itemsOf('get', 'drop');
    expect(listing.visible(bob, items, toolCall)).toBe(listing.visible(ann, items, toolCall));
  });

  test('is another one when policies or the default changed', () => {
    const { listing, setPolicies, setDefault } = listingOf(deny('drop'));
    const items = itemsOf('get', 'drop');
    expect(namesOf(listing.visible(ann, items, toolCall))).toEqual(['get']);
    setPolicies(deny('get'));
    expect(namesOf(listing.visible(ann, items, toolCall))).toEqual(['drop']);
    setPolicies();
    expect(listing.visible(ann, items, toolCall)).toBe(items);
    setDefault('deny');
    expect(listing.visible(ann, items, toolCall)).toEqual([]);
  });
});

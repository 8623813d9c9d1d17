import type { Policy, PolicyContent, PolicySubjects } from '../domain/policy.ts';

/** The policies in force that decide together with a policy: one group for each principal for whom it makes a difference. */
export function groupBySubject(content: PolicyContent, others: readonly Policy[]): readonly (readonly Policy[])[] {
  if (content.mode !== 'enforce') return [[]];
  const acting = others.filter((other) => other.content.mode === 'enforce');
  const general = acting.filter((other) => namesOf(other.content.subjects).length === 0);
  const byName = new Map<string, Policy[]>();
  for (const policy of acting) {
    for (const name of namesOf(policy.content.subjects)) {
      byName.set(name, [...(byName.get(name) ?? []), policy]);
    }
  }
  const own = namesOf(content.subjects);
  const groups = new Map<string, readonly Policy[]>([['', general]]);
  for (const name of own.length === 0 ? byName.keys() : own) {
    const special = byName.get(name) ?? [];
    groups.set(special.map(({ slug }) => slug).join(), [...general, ...special]);
  }
  return [...groups.values()];
}

/** Whom a policy names; nobody = it decides everybody's calls. */
function namesOf({ agentIds, userIds, apiKeyIds, teams }: PolicySubjects): string[] {
  return [
    ...agentIds.map((id) => `agent ${id}`),
    ...userIds.map((id) => `user ${id}`),
    ...apiKeyIds.map((id) => `key ${id}`),
    ...teams.map((team) => `team ${team}`),
  ];
}

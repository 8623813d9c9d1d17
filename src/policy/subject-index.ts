import type { CompiledPolicy } from './compile-policy.ts';
import type { PolicyCall } from './policy-call.ts';

/** Sorts principals into classes: those of one class are subjects of the same policies. */
export interface SubjectIndex {
  /** Names the class of a principal; 0 = of those that no policy names. */
  classOf(principal: PolicyCall['principal']): number | string;
  /** The policies that decide the principal's calls only because they name it or one of its teams. */
  policiesOf(principal: PolicyCall['principal']): readonly CompiledPolicy[];
}

/** The policies that name one subject. */
interface Listed {
  readonly number: number;
  readonly policies: CompiledPolicy[];
}

/** Indexes policies by whom they name; those for everybody must be kept elsewhere. */
export function createSubjectIndex(policies: readonly CompiledPolicy[]): SubjectIndex {
  const byKind = { agents: new Map(), users: new Map(), keys: new Map(), teams: new Map() } satisfies Record<
    string,
    Map<string, Listed>
  >;
  const lists: Readonly<Record<keyof typeof byKind, Map<string, Listed>>> = byKind;
  let count = 0;
  const add = (list: Map<string, Listed>, names: readonly string[], policy: CompiledPolicy) => {
    for (const name of new Set(names)) {
      const listed = list.get(name) ?? { number: ++count, policies: [] };
      listed.policies.push(policy);
      list.set(name, listed);
    }
  };
  for (const policy of policies) {
    add(lists.agents, policy.subjects.agentIds, policy);
    add(lists.users, policy.subjects.userIds, policy);
    add(lists.keys, policy.subjects.apiKeyIds, policy);
    add(lists.teams, policy.subjects.teams, policy);
  }
  const find = ({ kind, id, apiKeyId, teams }: PolicyCall['principal']): Listed[] => {
    const own = (kind === 'agent' ? lists.agents : lists.users).get(id);
    const key = apiKeyId === undefined ? undefined : lists.keys.get(apiKeyId);
    const shared = lists.teams.size === 0 ? [] : teams.map((team) => lists.teams.get(team));
    return [own, key, ...shared].filter((listed) => listed !== undefined);
  };
  return {
    classOf(principal) {
      if (count === 0) return 0;
      const found = find(principal);
      return found.length < 2 ? (found[0]?.number ?? 0) : found.map(({ number }) => number).join();
    },
    policiesOf: (principal) => [...new Set(find(principal).flatMap((listed) => listed.policies))],
  };
}

/** True when a policy decides the calls of everybody. */
export function isForEverybody({ subjects }: CompiledPolicy): boolean {
  const { agentIds, userIds, apiKeyIds, teams } = subjects;
  return agentIds.length + userIds.length + apiKeyIds.length + teams.length === 0;
}

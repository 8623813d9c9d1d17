import type { Decision } from '../domain/decision.ts';
import type { PrincipalId, ProjectId } from '../domain/ids.ts';
import type { PolicyCall } from '../policy/policy-call.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { type RecordedCallArguments, recordedArgumentsOf } from './simulation-arguments.ts';

/** A recorded call as policies see it. */
export interface RecordedCall extends PolicyCall {
  readonly recorded: RecordedCallArguments;
}

/** Where the facts come from that a Decision does not hold. */
export type SimulationConfig = Pick<HotConfig, 'getProject' | 'findUser' | 'findAgent' | 'findUpstream'>;

type Facts = Pick<PolicyCall['principal'], 'teams' | 'ownerId'>;

/**
 * Makes calls of decisions. Teams and owner are those of today, of a principal that is gone none; an upstream that is gone keeps the slug
 * the caller wrote. The tool filter of the upstream is left out: what it refused was not decided by policies.
 */
export function createRecordedCalls(
  config: SimulationConfig,
  projectId: ProjectId,
): (decision: Decision) => RecordedCall {
  const facts = new Map<PrincipalId, Facts>();
  const factsOf = ({ principalKind, principalId }: Decision): Facts => {
    const known = facts.get(principalId);
    if (known !== undefined) return known;
    const found =
      principalKind === 'agent' ? config.findAgent(projectId, principalId) : config.findUser(principalId)?.principal;
    const made: Facts = {
      teams: found?.teams ?? [],
      ...(found?.ownerId === undefined ? {} : { ownerId: found.ownerId }),
    };
    facts.set(principalId, made);
    return made;
  };
  return (decision) => {
    const { principalKind, principalId, principalName, apiKeyId, upstreamId, upstreamSlug } = decision;
    const upstream = upstreamId === undefined ? undefined : config.findUpstream(projectId, upstreamId);
    const recorded = recordedArgumentsOf(decision);
    return {
      principal: {
        kind: principalKind,
        id: principalId,
        name: principalName,
        projectId,
        ...(apiKeyId === undefined ? {} : { apiKeyId }),
        ...factsOf(decision),
      },
      upstream: { slug: upstream?.slug ?? upstreamSlug },
      method: decision.method,
      tool: decision.tool,
      session: decision.session,
      recorded,
      get arguments() {
        return recorded.value;
      },
    };
  };
}

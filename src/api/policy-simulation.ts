import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext } from '@connectrpc/connect';
import { PolicyContentSchema } from '../../gen/portcullis/v1/policy_pb.ts';
import {
  type SimulatePolicyRequest,
  type SimulatePolicyResponse,
  SimulatePolicyResponseSchema,
  type SimulationCountsSchema,
} from '../../gen/portcullis/v1/policy_service_pb.ts';
import { GatewayError } from '../domain/errors.ts';
import { newId, type PolicyId, type ProjectId } from '../domain/ids.ts';
import type { Policy } from '../domain/policy.ts';
import type { SimulationCounts, SimulationEvent, SimulationRequest } from '../pipeline/simulation.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { getCaller } from './context.ts';
import { fromFilterMessage, matchesFilter } from './decision-filter.ts';
import { toFailureMessage, toReasonMessage } from './decision-message.ts';
import type { ApiDeps } from './deps.ts';
import { toEffectMessage } from './effect-message.ts';
import { requireFullGrants } from './full-grants.ts';
import { getPolicy } from './policy-access.ts';
import { requireWorkable } from './policy-check.ts';
import { fromPolicyContentMessage } from './policy-message.ts';
import { getVersionContent } from './policy-versions.ts';
import { present } from './present.ts';
import { targetProjectId } from './target-project.ts';
import { createValidationError } from './validation.ts';

export interface PolicySimulationDeps extends ApiDeps {
  readonly config: Pick<HotConfig, 'getPolicies'>;
  readonly simulate: (request: SimulationRequest) => AsyncIterable<SimulationEvent>;
}

/** Simulations that may run at once: they share the process with the calls. */
const MAX_RUNNING = 4;

/** Serves SimulatePolicy: what is tried is checked like a policy that is saved. */
export function createPolicySimulation(deps: PolicySimulationDeps) {
  let running = 0;
  return async function* simulatePolicy(
    request: SimulatePolicyRequest,
    { values, signal }: Pick<HandlerContext, 'values' | 'signal'>,
  ): AsyncGenerator<SimulatePolicyResponse> {
    const caller = getCaller(values);
    const projectId = await targetProjectId(deps, caller, request.project);
    requireFullGrants(caller, 'simulate policies, which decide for all of them');
    const filter = fromFilterMessage(request.filter);
    const startTime = request.startTime && timestampMs(request.startTime);
    const endTime = request.endTime && timestampMs(request.endTime);
    if (running >= MAX_RUNNING) {
      throw new GatewayError('unavailable', 'Too many simulations at once. Try again later.', { retryAfterMs: 5_000 });
    }
    // Checking what is tried takes its time as well.
    running++;
    try {
      const policies = await readPolicies(deps, projectId, request);
      const matches: SimulationRequest['matches'] = (decision) => matchesFilter(filter, decision);
      for await (const event of deps.simulate({
        projectId,
        policies,
        ...present({ startTime, endTime }),
        matches,
        signal,
      })) {
        yield toResponse(event);
      }
    } finally {
      running--;
    }
    // A simulation that was stopped has no counts of everything: the caller is told.
    signal.throwIfAborted();
  };
}

/** The project's policies as they would be. */
async function readPolicies(
  deps: PolicySimulationDeps,
  projectId: ProjectId,
  { policy: reference, candidate }: SimulatePolicyRequest,
): Promise<Policy[]> {
  const current = deps.config.getPolicies(projectId);
  const old = reference && (await getPolicy(deps.store.db, projectId, reference));
  const others = current.filter(({ id }) => id !== old?.id);
  const tried = await readCandidate(deps, old ?? emptyPolicy(projectId), candidate);
  requireWorkable(candidate.case === 'version' ? 'version' : 'draft', tried.content, others);
  return [...others, tried];
}

async function readCandidate(
  deps: PolicySimulationDeps,
  old: Policy,
  { case: kind, value }: SimulatePolicyRequest['candidate'],
): Promise<Policy> {
  if (kind === 'draft') {
    return { ...old, content: fromPolicyContentMessage(value), version: old.latestVersion + 1 };
  }
  if (kind === undefined || old.version === 0) {
    throw createValidationError([{ field: 'policy', description: 'must be set: version is one of its versions' }]);
  }
  return { ...old, content: await getVersionContent(deps.store.db, old, value), version: value };
}

/** Stands for the policy that a draft would become. */
function emptyPolicy(projectId: ProjectId): Policy {
  const now = Date.now();
  return {
    id: newId<PolicyId>(now),
    projectId,
    slug: 'draft',
    content: fromPolicyContentMessage(create(PolicyContentSchema)),
    version: 0,
    latestVersion: 0,
    revision: 0,
    createTime: now,
    updateTime: now,
  };
}

function toResponse(event: SimulationEvent): SimulatePolicyResponse {
  switch (event.kind) {
    case 'change': {
      const { decision, verdict, from } = event;
      const value = {
        callId: decision.id,
        createTime: timestampFromMs(decision.createTime),
        tool: decision.tool ?? '',
        from: toEffectMessage(from),
        to: toEffectMessage(verdict.effect),
        reason: toReasonMessage(verdict.reason),
        ruleIds: [...verdict.ruleIds],
        message: verdict.message,
        failures: verdict.failures.map(toFailureMessage),
      };
      return create(SimulatePolicyResponseSchema, { value: { case: 'change', value } });
    }
    case 'progress':
    case 'summary':
      return create(SimulatePolicyResponseSchema, { value: { case: event.kind, value: toCounts(event.counts) } });
  }
}

function toCounts(counts: SimulationCounts): MessageInitShape<typeof SimulationCountsSchema> {
  return {
    decided: BigInt(counts.decided),
    unchanged: BigInt(counts.unchanged),
    changed: BigInt(counts.changed),
    unknown: BigInt(counts.unknown),
    allow: BigInt(counts.allow),
    deny: BigInt(counts.deny),
    requireApproval: BigInt(counts.requireApproval),
    skipped: BigInt(counts.skipped),
  };
}

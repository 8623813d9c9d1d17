import type { Approvals } from '../approvals/approvals.ts';
import type { DecisionLog } from '../decisions/decision-log.ts';
import type { ArgumentsRecord } from '../decisions/recorded-arguments.ts';
import type { Approval, ApprovalKey } from '../domain/approval.ts';
import type { Decision } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import { type ApprovalId, type CallId, newId } from '../domain/ids.ts';
import type { StateValue } from '../domain/policy-state.ts';
import type { Project } from '../domain/project.ts';
import { MASK } from '../domain/sensitive-keys.ts';
import { addressOf, DEFAULT_VERSION } from '../domain/target.ts';
import { isMetBy } from '../policy/approval-demand.ts';
import { type ApprovalDemand, decide, type Verdict } from '../policy/decide.ts';
import type { MatchedPolicies } from '../policy/policy-set.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { describeCall, recordedFields } from './call-arguments.ts';
import { createDecision, type GovernedCall } from './decision.ts';
import type { PolicySets } from './policy-sets.ts';

/** What deciding a call works with; made once in main. */
export interface DecideDeps {
  readonly config: HotConfig;
  /** Nothing is decided with a configuration that was read longer ago, in milliseconds. */
  readonly maxConfigAgeMs: number;
  readonly log: DecisionLog;
  readonly policies: PolicySets;
  readonly approvals: Approvals;
}

/** A decided call. */
export interface Ruling {
  readonly decision: Decision;
  /** Resolves when the decision is durable; rejects with `unavailable` when it is not. */
  readonly committed: Promise<void>;
  /** What the decision waits for, when it is REQUIRE_APPROVAL. */
  readonly approval?: Approval;
  /** How the caller is to wait for it. */
  readonly demand?: ApprovalDemand;
}

/**
 * Decides a call with the state and the approvals that the policies need, and records the Decision together with the state it changes.
 *
 * @throws GatewayError `unavailable` when the configuration is too old, or state or approvals cannot be read or written
 */
export async function decideCall(deps: DecideDeps, call: GovernedCall): Promise<Ruling> {
  const question = ask(deps, call);
  const mayNeedApproval = question.matched.mayRequireApproval || question.project.defaultEffect === 'require_approval';
  if (mayNeedApproval) {
    return decideWithApprovals(deps, question);
  }
  const { decision, committed } = await judgeAndRecord(deps, question, {});
  return decision === undefined ? decideWithApprovals(deps, question) : { decision, committed };
}

/** @throws GatewayError `unavailable` while this replica cannot read what was changed, such as a key that was revoked */
export function requireFreshConfig({ config, maxConfigAgeMs }: Pick<DecideDeps, 'config' | 'maxConfigAgeMs'>): void {
  if (config.ageMs() >= maxConfigAgeMs) {
    throw new GatewayError('unavailable', 'The store cannot be reached, so nothing can be decided. Try again later.');
  }
}

/** A call with everything that is known before policies are asked. */
interface Question {
  readonly id: CallId;
  readonly call: GovernedCall;
  readonly described: ArgumentsRecord | undefined;
  readonly project: Project;
  readonly matched: MatchedPolicies;
}

function ask(deps: DecideDeps, call: GovernedCall): Question {
  const found = lookUp(deps, call);
  return { id: newId<CallId>(), call, described: describeCall(call, found.project), ...found };
}

/** The same question after something was waited for: project and policies may have been changed. */
function askAgain(deps: DecideDeps, question: Question): Question {
  return { ...question, ...lookUp(deps, question.call) };
}

function lookUp(deps: DecideDeps, call: GovernedCall): Pick<Question, 'project' | 'matched'> {
  requireFreshConfig(deps);
  const project = deps.config.getProject(call.principal.projectId);
  return { project, matched: deps.policies.of(project.id).match(call) };
}

/** What there is for a call that needs approval: the approval it took or waits for, or that it may not ask for one. */
interface Means {
  readonly taken?: Approval | undefined;
  readonly asked?: Approval;
  readonly isExhausted?: boolean;
}

/**
 * An approval is taken or asked for before the call is decided with it, so that no other call can use it, and every decision is recorded
 * with the state and at the time it was made by.
 */
async function decideWithApprovals(deps: DecideDeps, first: Question): Promise<Ruling> {
  const { approvals } = deps;
  const prior = await approvals.find(keyOf(first));
  let usable = prior.approved;
  let pending = prior.pending;
  let means: Means = {};
  for (;;) {
    const question = askAgain(deps, first);
    const { verdict, decision, committed } = await judgeAndRecord(deps, question, means);
    const { taken, asked } = means;
    if (taken !== undefined && decision?.approvalId !== taken.id) {
      await approvals.release(taken);
    }
    if (decision !== undefined) {
      const { approval: demand } = verdict;
      const isAsked = asked !== undefined && demand !== undefined && decision.approvalId === asked.id;
      await (isAsked ? committed : undefined);
      return isAsked ? { decision, committed, approval: asked, demand } : { decision, committed };
    }
    const fitting = findFitting(verdict, usable);
    if (fitting === undefined) {
      means = await askFor(deps, question, verdict, pending);
      pending = means.asked === undefined ? pending : [means.asked, ...pending];
    } else {
      usable = usable.filter(({ id }) => id !== fitting.id);
      means = { taken: await approvals.take(fitting, question.id) };
    }
  }
}

interface Judged {
  readonly verdict: Verdict;
  /** Absent = the call needs another approval; nothing was recorded yet. */
  readonly decision: Decision | undefined;
  readonly committed: Promise<void>;
}

async function judgeAndRecord(deps: DecideDeps, question: Question, means: Means): Promise<Judged> {
  const { reads } = question.matched;
  if (reads.length > 0) {
    return { ...(await deps.log.decide(reads, (states) => judge(question, states, means))), committed: done };
  }
  const judged = judge(question, [], means);
  return { ...judged, committed: judged.decision === undefined ? done : deps.log.append(judged.decision) };
}

const done = Promise.resolve();

function judge(question: Question, states: readonly (StateValue | undefined)[], means: Means) {
  const { call, project, matched } = question;
  const { taken, asked, isExhausted = false } = means;
  const now = Date.now();
  const verdict = decide({
    call,
    matched,
    defaultEffect: project.defaultEffect,
    states,
    now,
    redactedKeys: project.redactedKeys,
    ...(taken === undefined ? {} : { approved: taken.requirements }),
  });
  if (verdict.effect !== 'require_approval') {
    const approvalId = verdict.reason === 'approval' ? taken?.id : undefined;
    return { verdict, decision: createRecord(question, now, verdict, approvalId) };
  }
  if (isExhausted) {
    return { verdict, decision: createRecord(question, now, tooManyPending(verdict), undefined) };
  }
  const fits = asked !== undefined && findFitting(verdict, [asked]) !== undefined;
  return { verdict, decision: fits ? createRecord(question, now, verdict, asked.id) : undefined };
}

/** The approval that was asked for already, or a new one. */
async function askFor(
  deps: DecideDeps,
  question: Question,
  verdict: Verdict,
  pending: readonly Approval[],
): Promise<Means> {
  const asked = findFitting(verdict, pending) ?? (await createApproval(deps, question, verdict));
  return asked === undefined ? { isExhausted: true } : { asked };
}

/** Undefined when the caller has too many that are pending. */
async function createApproval(
  { approvals }: DecideDeps,
  question: Question,
  verdict: Verdict,
): Promise<Approval | undefined> {
  const { requirements = [], expireAfterMs = 0 } = verdict.approval ?? {};
  const { call } = question;
  const wanted = {
    ...keyOf(question),
    callId: question.id,
    requester: call.principal,
    ...(call.arguments === undefined ? {} : { arguments: call.arguments }),
    message: verdict.message,
    ruleIds: verdict.ruleIds,
    requirements,
    expireAfterMs,
  };
  return approvals.create(wanted).catch((error: unknown) => {
    if (error instanceof GatewayError && error.reason === 'failed_precondition') {
      return undefined;
    }
    throw error;
  });
}

/** The oldest of the approvals that was asked for by the same policies in the same versions. */
function findFitting({ approval: demand }: Verdict, approvals: readonly Approval[]): Approval | undefined {
  return demand && approvals.find(({ requirements }) => isMetBy(demand, requirements));
}

function tooManyPending(verdict: Verdict): Verdict {
  const message =
    'This call needs approval, and too many approvals of the caller are pending. Have them answered first.';
  return { ...verdict, effect: 'deny', reason: 'approvals_exhausted', message };
}

function createRecord(
  { id, call, described, project }: Question,
  now: number,
  verdict: Verdict,
  approvalId: ApprovalId | undefined,
): Decision {
  const told = project.recordedArguments === 'none' ? withoutValues(verdict) : verdict;
  return createDecision(id, now, call, told, {
    ...recordedFields(described),
    ...(approvalId === undefined ? {} : { approvalId }),
  });
}

/** What failed, without what it was: arguments that are not to be recorded are not recorded here either. */
function withoutValues(verdict: Verdict): Verdict {
  const conceal = (failures: Verdict['failures']) => failures.map((failure) => ({ ...failure, actual: MASK }));
  return {
    ...verdict,
    failures: conceal(verdict.failures),
    shadow: verdict.shadow.map((result) => ({ ...result, failures: conceal(result.failures) })),
  };
}

function keyOf({ call, described }: Question): ApprovalKey {
  return {
    projectId: call.principal.projectId,
    principalId: call.principal.id,
    // Of versions that policies cannot tell apart, each is another upstream to whoever approves.
    upstreamSlug: addressOf({ version: DEFAULT_VERSION, ...call.upstream }),
    ...(call.gateway === undefined ? {} : { gatewayId: call.gateway.id }),
    method: call.method,
    tool: call.tool ?? '',
    argumentsDigest: described?.digest ?? '',
  };
}

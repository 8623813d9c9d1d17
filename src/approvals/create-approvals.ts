import {
  type ApprovalVisibility,
  findApproval,
  findOpenApprovals,
  findSettledApprovals,
  listApprovals,
} from '../db/approvals.ts';
import { readConfigVersion } from '../db/config-changes.ts';
import { findProject } from '../db/projects.ts';
import type { Approval, ApprovalKey } from '../domain/approval.ts';
import { GatewayError } from '../domain/errors.ts';
import { type ApprovalId, type CallId, newId, type ProjectId } from '../domain/ids.ts';
import type { Principal } from '../domain/principal.ts';
import { createApprovalWatch } from './approval-watch.ts';
import type { Approvals, ApprovalsDeps, NewApproval, PriorApprovals, Resolution } from './approvals.ts';
import { type ApprovalWriting, type ChangeDeps, changeApprovals } from './change-approvals.ts';
import { maskArguments } from './mask-arguments.ts';
import { isVisible } from './visibility.ts';
import { approvalAt, castVote, withVote } from './votes.ts';
import { createWaiting } from './waiting.ts';

/** Pending approvals that one principal may have in a project. */
const MAX_PENDING = 100;

/** Makes what all parts do with approvals through. */
export function createApprovals(deps: ApprovalsDeps): Approvals {
  const { store, onChange, now } = deps;
  const find = async (id: string): Promise<Approval | undefined> => {
    const found = await findApproval(store.db, id);
    return found && approvalAt(found, now());
  };
  const findSettled = async (ids: readonly ApprovalId[]): Promise<Approval[]> => {
    const time = now();
    return (await findSettledApprovals(store.db, ids, time)).map((approval) => approvalAt(approval, time));
  };
  const waiting = createWaiting({ find, findSettled, onChange, now });
  return {
    find: (key) => findForCall(deps, key),
    take: (approval, callId) => takeApproval(deps, approval, callId),
    release: (approval) => releaseApproval(deps, approval),
    create: (input) => createApproval(deps, input),
    wait: waiting.wait,
    vote: (projectId, id, caller, answer, visibility) =>
      changeApprovals(deps, (writing) => vote(writing, { projectId, caller, visibility }, { id, ...answer })),
    resolveAll: (projectId, resolutions, caller, visibility) =>
      changeApprovals(deps, async (writing) => {
        const answered: Approval[] = [];
        for (const one of resolutions) answered.push(await vote(writing, { projectId, caller, visibility }, one));
        return answered;
      }),
    cancel: (id, reason) => cancelApproval(deps, id, reason),
    async get(projectId, id) {
      const found = await find(id);
      return found?.projectId === projectId ? found : undefined;
    },
    async list(request) {
      const time = now();
      return (await listApprovals(store.db, { ...request, now: time })).map((approval) => approvalAt(approval, time));
    },
    watch: createApprovalWatch(deps),
    head: () => readConfigVersion(store.db),
    close: waiting.close,
  };
}

async function findForCall({ store, now }: ApprovalsDeps, key: ApprovalKey): Promise<PriorApprovals> {
  const { ofCall, pendingCount } = await findOpenApprovals(store.db, key, now());
  return {
    approved: ofCall.filter(({ state }) => state === 'approved'),
    pending: ofCall.filter(({ state }) => state === 'pending'),
    exhausted: pendingCount >= MAX_PENDING,
  };
}

function takeApproval(deps: ChangeDeps, { id }: Approval, callId: CallId): Promise<Approval | undefined> {
  return changeApprovals(deps, async ({ trx, now, update }) => {
    const current = await findApproval(trx, id);
    const isFree = current !== undefined && approvalAt(current, now).state === 'approved';
    return isFree ? update(current, { ...current, state: 'consumed', consumeCallId: callId }) : undefined;
  });
}

async function releaseApproval(deps: ChangeDeps, { id, consumeCallId }: Approval): Promise<void> {
  await changeApprovals(deps, async ({ trx, update }) => {
    const current = await findApproval(trx, id);
    if (current?.state !== 'consumed' || current.consumeCallId !== consumeCallId) return;
    const { consumeCallId: _given, ...rest } = current;
    await update(current, { ...rest, state: 'approved' });
  });
}

function createApproval(deps: ChangeDeps, input: NewApproval): Promise<Approval> {
  return changeApprovals(deps, async ({ trx, now, insert }) => {
    const { ofCall, pendingCount } = await findOpenApprovals(trx, input, now);
    const same = ofCall.find(
      ({ state, requirements }) => state === 'pending' && isSame(requirements, input.requirements),
    );
    if (same !== undefined && input.id === undefined) return same;
    if (pendingCount >= MAX_PENDING) throw tooManyPending();
    const project = await findProject(trx, input.projectId);
    if (project === undefined) throw new GatewayError('not_found', 'The project of this credential was deleted.');
    const { arguments: args, expireAfterMs, requester, ...rest } = input;
    return insert({
      id: newId<ApprovalId>(now),
      ...rest,
      ...maskArguments(args, project),
      requester: {
        kind: requester.kind,
        name: requester.name,
        ...(requester.apiKeyId !== undefined && { apiKeyId: requester.apiKeyId }),
        ...(requester.keyPrefix !== undefined && { keyPrefix: requester.keyPrefix }),
        ...(requester.askedById !== undefined && { askedById: requester.askedById }),
      },
      state: 'pending',
      votes: [],
      expireTime: now + expireAfterMs,
      createTime: now,
      updateTime: now,
    });
  });
}

/** True when both were asked for by the same policies in the same versions. */
function isSame(one: Approval['requirements'], other: Approval['requirements']): boolean {
  const keysOf = (requirements: Approval['requirements']) =>
    requirements.map(({ policyId, policyVersion }) => `${policyId}/${policyVersion}`).join();
  return keysOf(one) === keysOf(other);
}

interface Voting {
  readonly projectId: ProjectId;
  readonly caller: Principal;
  readonly visibility: ApprovalVisibility | undefined;
}

async function vote(
  { trx, now, update }: ApprovalWriting,
  { projectId, caller, visibility }: Voting,
  { id, ...answer }: Resolution,
): Promise<Approval> {
  const approval = await findApproval(trx, id);
  if (approval?.projectId !== projectId || !isVisible(visibility, approval)) throw notVisible(id);
  const voted = castVote(approval, caller, answer, now);
  return voted === approval ? approvalAt(approval, now) : update(approval, voted);
}

async function cancelApproval(deps: ChangeDeps, id: ApprovalId, comment: string): Promise<void> {
  await changeApprovals(deps, async ({ trx, now, update }) => {
    const approval = await findApproval(trx, id);
    if (approval === undefined || approvalAt(approval, now).state !== 'pending') return;
    const { principalId, requester } = approval;
    const { kind, name } = requester;
    await update(approval, withVote(approval, { kind, principalId, name, approved: false, comment, createTime: now }));
  });
}

/** As for an approval that the caller may not see, so that nobody can tell the two apart. */
function notVisible(id: ApprovalId): GatewayError {
  const message = `The credential has no access to the approval "${id}" (or it might not exist).`;
  return new GatewayError('permission_denied', message, { metadata: { id } });
}

function tooManyPending(): GatewayError {
  const message = `The caller has ${MAX_PENDING} pending approvals, which is as many as it may have. Have some of them answered first.`;
  return new GatewayError('failed_precondition', message);
}

import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/approvals/approvals.ts';
import { approvalAt, castVote, type Voter, withVote } from '../../src/approvals/votes.ts';
import type { Approval } from '../../src/domain/approval.ts';
import { ann, approval, bob, cyd, HOUR, NOW, REQUESTER, requirement, self } from './samples.ts';

const yes: Answer = { approve: true, comment: 'fine' };
const no: Answer = { approve: false, comment: 'too much' };

/** The state after the answers, or the reason why one was refused. */
function outcome(given: Approval, ...answers: readonly (readonly [Voter, Answer])[]): unknown {
  try {
    return answers.reduce((before, [voter, answer]) => castVote(before, voter, answer, NOW), given).state;
  } catch (error) {
    return error;
  }
}

const denied = expect.objectContaining({ reason: 'permission_denied' });
const settled = (state: string) =>
  expect.objectContaining({ reason: 'failed_precondition', metadata: expect.objectContaining({ state }) });

describe('an answer', () => {
  it('of one approver is enough when one is required, and keeps who, when and why', () => {
    const answered = castVote(approval(), ann, yes, NOW + 5);
    expect(answered.state).toBe('approved');
    expect(answered.votes).toEqual([
      { kind: 'user', principalId: ann.id, name: 'a11', approved: true, comment: 'fine', createTime: NOW + 5 },
    ]);
  });

  it('that denies is enough, however many must agree', () => {
    const given = approval({ requirements: [requirement({ requiredApprovals: 3 })] });
    expect(outcome(given, [ann, yes], [bob, no])).toBe('denied');
    expect(outcome(given, [ann, no])).toBe('denied');
  });

  it('counts once for each approver', () => {
    const given = approval({ requirements: [requirement({ requiredApprovals: 2 })] });
    expect(outcome(given, [ann, yes])).toBe('pending');
    expect(outcome(given, [ann, yes], [ann, yes])).toBe('pending');
    expect(outcome(given, [ann, yes], [{ ...ann, name: 'renamed' }, yes])).toBe('pending');
    expect(outcome(given, [ann, yes], [bob, yes])).toBe('approved');
  });

  it('counts for the requirements whose approver gave it, and all of them must be met', () => {
    const given = approval({
      requirements: [
        requirement({ policySlug: 'a', approverIds: [ann.id, bob.id], requiredApprovals: 2 }),
        requirement({ policySlug: 'b', approverIds: [bob.id] }),
      ],
    });
    expect(outcome(given, [ann, yes])).toBe('pending');
    expect(outcome(given, [bob, yes])).toBe('pending');
    expect(outcome(given, [bob, yes], [ann, yes])).toBe('approved');
    const apart = approval({
      requirements: [requirement({ approverIds: [ann.id] }), requirement({ approverIds: [bob.id] })],
    });
    expect(outcome(apart, [ann, yes])).toBe('pending');
    expect(outcome(apart, [ann, yes], [bob, yes])).toBe('approved');
    expect(outcome(apart, [ann, no])).toBe('denied');
  });

  it('of somebody who is no approver of any requirement is refused', () => {
    const given = approval({
      requirements: [requirement({ approverIds: [ann.id] }), requirement({ approverIds: [bob.id] })],
    });
    expect(outcome(given, [cyd, yes])).toEqual(denied);
    expect(outcome(given, [cyd, no])).toEqual(denied);
    expect(outcome(approval({ requirements: [] }), [ann, yes])).toEqual(denied);
  });

  it('of the requester is refused, with any of its credentials, unless a requirement allows it', () => {
    expect(outcome(approval(), [self, yes])).toEqual(denied);
    expect(outcome(approval(), [{ ...self, kind: 'agent', name: 'robot' }, yes])).toEqual(denied);
    expect(outcome(approval({ requirements: [requirement({ approverIds: [REQUESTER] })] }), [self, yes])).toEqual(
      denied,
    );
    expect(outcome(approval({ requirements: [requirement({ allowSelfApproval: true })] }), [self, yes])).toBe(
      'approved',
    );
    const one = approval({
      requirements: [requirement({ allowSelfApproval: true }), requirement({ policySlug: 'other' })],
    });
    expect(outcome(one, [self, yes])).toBe('pending');
    expect(outcome(one, [self, yes], [ann, yes])).toBe('approved');
    const listed = requirement({ allowSelfApproval: true, approverIds: [ann.id] });
    expect(outcome(approval({ requirements: [listed] }), [self, yes])).toEqual(denied);
  });

  it('is still given by somebody when a requirement asks for nobody', () => {
    const nobody = approval({
      requirements: [requirement({ requiredApprovals: 0, approverIds: [bob.id] }), requirement()],
    });
    expect(outcome(nobody, [ann, yes])).toBe('pending');
  });

  it('that repeats the own one changes nothing, whatever became of the approval', () => {
    const approved = castVote(approval(), ann, yes, NOW);
    expect(castVote(approved, ann, { approve: true, comment: 'again' }, NOW)).toBe(approved);
    const consumed: Approval = { ...approved, state: 'consumed' };
    expect(castVote(consumed, ann, yes, NOW + 9 * HOUR)).toBe(consumed);
    const refused = castVote(approval(), ann, no, NOW);
    expect(castVote(refused, ann, no, NOW)).toBe(refused);
  });

  it('that differs comes too late once it is settled', () => {
    expect(outcome(approval(), [ann, no], [ann, yes])).toEqual(settled('denied'));
    expect(outcome(approval(), [ann, yes], [ann, no])).toEqual(settled('approved'));
    expect(outcome(approval(), [ann, yes], [bob, no])).toEqual(settled('approved'));
    expect(outcome(approval(), [ann, no], [bob, no])).toEqual(settled('denied'));
    expect(outcome(approval({ state: 'consumed' }), [ann, yes])).toEqual(settled('consumed'));
    expect(outcome(approval({ state: 'expired' }), [ann, yes])).toEqual(settled('expired'));
  });

  it('may still become a denial while others must agree', () => {
    const given = approval({ requirements: [requirement({ requiredApprovals: 2 })] });
    expect(outcome(given, [ann, yes], [ann, no])).toBe('denied');
  });

  it('is taken until the millisecond before the end', () => {
    const given = approval({ expireTime: NOW + 1 });
    expect(castVote(given, ann, yes, NOW).state).toBe('approved');
    expect(outcome(approval({ expireTime: NOW }), [ann, yes])).toEqual(settled('expired'));
    expect(outcome(approval({ expireTime: NOW }), [cyd, no])).toEqual(settled('expired'));
  });
});

describe('an approval', () => {
  it('reads as expired from its end on, unless it was denied or used', () => {
    const read = (state: Approval['state'], now: number) => approvalAt(approval({ state, expireTime: NOW }), now).state;
    expect(read('pending', NOW - 1)).toBe('pending');
    expect(read('pending', NOW)).toBe('expired');
    expect(read('approved', NOW - 1)).toBe('approved');
    expect(read('approved', NOW)).toBe('expired');
    expect(read('denied', NOW)).toBe('denied');
    expect(read('consumed', NOW)).toBe('consumed');
  });

  it('is denied by a vote of its requester, whose agreement would not count', () => {
    const vote = { kind: 'agent', principalId: REQUESTER, name: 'robot', comment: '', createTime: NOW } as const;
    expect(withVote(approval(), { ...vote, approved: false }).state).toBe('denied');
    expect(withVote(approval(), { ...vote, approved: true }).state).toBe('pending');
  });
});

import type { ApprovalId } from '../domain/ids.ts';
import { createSealedTexts, type SealDeps } from './sealed-texts.ts';

/** Sealed into the id of a legacy `elicitation/create`, so that any replica can take the client's answer. */
export interface Question {
  readonly kind: 'question';
  readonly approvalId: ApprovalId;
  readonly principalId: string;
  /** Id of the upstream or gateway. */
  readonly targetId: string;
}

/** Sealed into the `requestState` of a modern `input_required`, so that any replica can take the retry; good for the same call only. */
export interface RetryState {
  readonly kind: 'retry';
  readonly approvalId: ApprovalId;
  readonly principalId: string;
  /** Id of the upstream or gateway. */
  readonly targetId: string;
  readonly method: string;
  readonly tool: string;
  readonly argumentsDigest: string;
  /** True when the user has opened the page, and so is not asked again. */
  readonly isAccepted: boolean;
  /** What the interrupted request carried for the upstream. */
  readonly carried?: Carried;
}

/** The upstream's own `requestState`, and the client's answers to its questions. */
export interface Carried {
  readonly requestState?: string;
  /** JSON text, so that numbers stay as they were written. */
  readonly inputResponses?: string;
}

/** True for a text that could be one of these, as all but a few are not. */
export function looksSealed(text: unknown): text is string {
  return typeof text === 'string' && text.startsWith(PREFIX);
}

type Token = Question | RetryState;

export type ApprovalTokensDeps = SealDeps;

export type ApprovalTokens = ReturnType<typeof createApprovalTokens>;

const PREFIX = 'portcullis-approval.';

/** Makes what seals and reads them. */
export function createApprovalTokens(deps: ApprovalTokensDeps) {
  return createSealedTexts<Token>(PREFIX, deps);
}

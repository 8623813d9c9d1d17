import { createSealedTexts, type SealDeps } from '../sealed-texts.ts';

/** Sealed into the id of what a legacy client is asked, so that its answer finds the replica that waits for it. */
export interface QuestionToken {
  readonly kind: 'question';
  readonly replicaId: string;
  readonly questionId: string;
  readonly principalId: string;
  readonly sessionId: string;
}

/** Sealed into the `requestState` of a modern client's request, so that its retry goes on with the call that is held; good once and for the same request only. */
export interface RoundToken {
  readonly kind: 'round';
  readonly replicaId: string;
  readonly exchangeId: string;
  /** Rounds that are over. */
  readonly turn: number;
  readonly principalId: string;
  /** Digest of what was requested. */
  readonly request: string;
  /** Unix milliseconds. */
  readonly expireTime: number;
}

type Token = QuestionToken | RoundToken;

export type TokensDeps = SealDeps;

export type Tokens = ReturnType<typeof createTokens>;

/** Makes what seals and reads them. */
export function createTokens(deps: TokensDeps) {
  return createSealedTexts<Token>('portcullis-input.', deps);
}

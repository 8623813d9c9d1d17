import type { ApprovalId } from '../domain/ids.ts';

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

export interface ApprovalTokensDeps {
  readonly seal: (text: string) => Promise<string>;
  /** Rejects when the text was not sealed here. */
  readonly open: (sealed: string) => Promise<string>;
}

export type ApprovalTokens = ReturnType<typeof createApprovalTokens>;

/** Tells these texts from those of upstreams before anything is decrypted. */
const PREFIX = 'portcullis-approval.';

/** Texts that travel through the client and that only the gateway can make and read. */
export function createApprovalTokens({ seal, open }: ApprovalTokensDeps) {
  async function make(token: Token): Promise<string> {
    return PREFIX + (await seal(JSON.stringify(token)));
  }

  /** Undefined for what is not of this gateway; another gateway behind this one has texts that look the same. */
  async function read<Kind extends Token['kind']>(
    kind: Kind,
    text: unknown,
  ): Promise<Extract<Token, { kind: Kind }> | undefined> {
    if (!looksSealed(text)) {
      return undefined;
    }
    const opened = await open(text.slice(PREFIX.length)).catch(() => undefined);
    const token = opened === undefined ? undefined : (JSON.parse(opened) as Token);
    return token?.kind === kind ? (token as Extract<Token, { kind: Kind }>) : undefined;
  }

  return { make, read };
}

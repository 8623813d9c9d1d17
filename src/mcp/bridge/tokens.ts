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

/** Seals and opens texts; the secret box's functions for one purpose. */
export interface TokensDeps {
  readonly seal: (text: string) => Promise<string>;
  /** Rejects when the text was not sealed here. */
  readonly open: (sealed: string) => Promise<string>;
}

export type Tokens = ReturnType<typeof createTokens>;

/** Tells these texts from those of clients and upstreams before anything is decrypted. */
const PREFIX = 'portcullis-input.';

/** Texts that travel through a client and that only the gateway can make and read. */
export function createTokens({ seal, open }: TokensDeps) {
  async function make(token: Token): Promise<string> {
    return PREFIX + (await seal(JSON.stringify(token)));
  }

  /** Undefined for what is not of this gateway. */
  async function read<Kind extends Token['kind']>(
    kind: Kind,
    text: unknown,
  ): Promise<Extract<Token, { kind: Kind }> | undefined> {
    if (typeof text !== 'string' || !text.startsWith(PREFIX)) {
      return undefined;
    }
    const opened = await open(text.slice(PREFIX.length)).catch(() => undefined);
    const token = opened === undefined ? undefined : (JSON.parse(opened) as Token);
    return token?.kind === kind ? (token as Extract<Token, { kind: Kind }>) : undefined;
  }

  return { make, read };
}

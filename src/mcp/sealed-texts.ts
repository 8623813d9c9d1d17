/** Seals and opens texts; the secret box's functions for one purpose. */
export interface SealDeps {
  readonly seal: (text: string) => Promise<string>;
  /** Rejects when the text was not sealed here. */
  readonly open: (sealed: string) => Promise<string>;
}

/**
 * Texts that travel through a client and that only the gateway can make and read; `prefix` tells them from those of clients and
 * upstreams before anything is decrypted.
 */
export function createSealedTexts<Token extends { readonly kind: string }>(prefix: string, { seal, open }: SealDeps) {
  async function make(token: Token): Promise<string> {
    return prefix + (await seal(JSON.stringify(token)));
  }

  /** Undefined for what is not of this gateway; another gateway behind this one has texts that look the same. */
  async function read<Kind extends Token['kind']>(
    kind: Kind,
    text: unknown,
  ): Promise<Extract<Token, { kind: Kind }> | undefined> {
    if (typeof text !== 'string' || !text.startsWith(prefix)) {
      return undefined;
    }
    const opened = await open(text.slice(prefix.length)).catch(() => undefined);
    const token = opened === undefined ? undefined : (JSON.parse(opened) as Token);
    return token?.kind === kind ? (token as Extract<Token, { kind: Kind }>) : undefined;
  }

  return { make, read };
}

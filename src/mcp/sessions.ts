import { GatewayError } from '../domain/errors.ts';
import type { Principal } from '../domain/principal.ts';
import type { Target } from '../domain/target.ts';
import type { JsonObject } from './json-rpc.ts';

/** What a legacy client's session id carries, so that any replica can serve it. */
export interface Session {
  /** The session's own id; what is noted when it ends. */
  readonly id: string;
  readonly principalId: string;
  /** Id of the upstream or gateway. */
  readonly targetId: string;
  /** `Mcp-Session-Id` at a streamable HTTP upstream. */
  readonly upstreamSessionId?: string;
  /** What the client said in `initialize`, to open a stdio process or SSE connection for it on any replica. */
  readonly initializeParams?: JsonObject;
  /** True for a session with a gateway, or with an upstream of the other era: the gateway itself answers what is asked in it. */
  readonly bridged?: boolean;
  /** True when the client said in `initialize` that it can ask its user to open a URL. */
  readonly elicitsUrl?: boolean;
  /** Unix milliseconds after which the id is no longer accepted. */
  readonly expireTime: number;
}

export interface SessionsDeps {
  readonly seal: (text: string) => Promise<string>;
  /** Rejects when the text was not sealed here. */
  readonly open: (sealed: string) => Promise<string>;
  readonly isEnded: (sessionId: string) => boolean;
  readonly now?: () => number;
}

export type Sessions = ReturnType<typeof createSessions>;

/** Life of a session id; clients that come back later must initialize again. */
const LIFETIME_MS = 24 * 60 * 60 * 1000;
/** Longest session id: it travels in a header with every request. */
const MAX_LENGTH = 6_000;
/** Opened ids kept in memory, so that a session is decrypted once and not once a call. */
const MAX_OPENED = 5_000;

/** Session ids of legacy clients: encrypted tokens (JWE), bound to principal and target; there is no table of sessions. */
export function createSessions(deps: SessionsDeps) {
  const now = deps.now ?? Date.now;
  const opened = new Map<string, Session>();

  async function mint(session: Omit<Session, 'expireTime'>): Promise<string> {
    const token = await deps.seal(JSON.stringify({ ...session, expireTime: now() + LIFETIME_MS }));
    if (token.length > MAX_LENGTH) {
      throw new GatewayError(
        'validation_failed',
        'The session cannot be kept in an id: its capabilities, or the id the upstream gave, are too long.',
      );
    }
    return token;
  }

  /** The session, if it is alive and belongs to the principal and the target; undefined otherwise, whatever the cause. */
  function find(
    token: string,
    principal: Principal,
    target: Target,
  ): Session | undefined | Promise<Session | undefined> {
    const known = opened.get(token);
    return known === undefined
      ? open(token).then((session) => accept(session, principal, target))
      : accept(known, principal, target);
  }

  function accept(session: Session | undefined, principal: Principal, target: Target): Session | undefined {
    const valid =
      session !== undefined &&
      session.principalId === principal.id &&
      session.targetId === target.id &&
      session.expireTime > now() &&
      !deps.isEnded(session.id);
    return valid ? session : undefined;
  }

  async function open(token: string): Promise<Session | undefined> {
    if (token.length > MAX_LENGTH) {
      return undefined;
    }
    const text = await deps.open(token).catch(() => undefined);
    if (text === undefined) {
      return undefined;
    }
    const session = JSON.parse(text) as Session;
    if (opened.size >= MAX_OPENED) {
      // Maps keep insertion order, so this is the one opened longest ago.
      opened.delete(opened.keys().next().value as string);
    }
    opened.set(token, session);
    return session;
  }

  return { mint, find };
}

import type { Denial } from './denial.ts';

/** Told of every denial, once. What it throws, or rejects with, changes nothing, and nobody waits for it. */
export type OnDenied = (toolName: string, reason: string, details: Denial) => unknown;

/** How calls are authorized. */
export interface GuardOptions {
  /** Id or slug of the Agent that calls. */
  readonly agentId: string;
  /**
   * What happens to a call when the gateway is unreachable: no answer in `timeoutMs`, a network error, a status from 500 on, or an answer
   * that is not the gateway's. `deny` by default. Any other answer than ALLOW denies, whatever this says.
   */
  readonly onError?: 'deny' | 'allow';
  readonly onDenied?: OnDenied;
  /** Longest time for one answer of the gateway, in milliseconds; 5,000 by default. */
  readonly timeoutMs?: number;
  /** Waits for a human when one must agree: for `timeoutMs`, or with `true` until the approval is decided or expires. `false` by default. */
  readonly waitForApproval?: boolean | { readonly timeoutMs: number };
  /**
   * Identifies the session for rules that count by session: a text, or a function of what the handler gets beside its arguments. None by
   * default.
   */
  readonly session?: string | ((extra: unknown) => string | undefined);
  /** What the upstream patterns of policies are matched against. None by default: then only `*` matches. */
  readonly upstream?: string;
  /**
   * For how long the answer ALLOW holds for calls with the same agent, tool, session, upstream and arguments, in milliseconds; 0 by
   * default. Such calls are not asked about again: they are neither recorded nor counted, and a policy or agent that changes meanwhile
   * does not stop them. A call that a human agreed to is never kept.
   */
  readonly cacheMs?: number;
}

/** The options, checked, with what is not given filled in. */
export interface GuardSettings {
  readonly agentId: string;
  readonly allowsUnreachable: boolean;
  readonly onDenied: OnDenied | undefined;
  readonly timeoutMs: number;
  /** 0 = does not wait. */
  readonly approvalTimeoutMs: number;
  readonly session: GuardOptions['session'];
  readonly upstream: string;
  readonly cacheMs: number;
}

/** No approval lives longer. */
const LONGEST_APPROVAL_MS = 24 * 3_600_000;
/** About 12 days: less than the longest that a timer can wait. */
const MAX_DELAY_MS = 2 ** 30;

/** Throws a TypeError for options that can't work, so that a guard that would not guard is never made. */
export function checkGuardOptions(options: GuardOptions): GuardSettings {
  const { agentId, onError = 'deny', onDenied, timeoutMs = 5_000, session, upstream = '', cacheMs = 0 } = options;
  require(typeof agentId === 'string' && agentId !== '', 'agentId', 'the id or slug of an agent');
  require(onError === 'deny' || onError === 'allow', 'onError', `'deny' or 'allow'`);
  require(onDenied === undefined || typeof onDenied === 'function', 'onDenied', 'a function');
  require(isDelay(timeoutMs) && timeoutMs > 0, 'timeoutMs', 'a number of milliseconds above 0');
  require(isSession(session), 'session', 'a text or a function');
  require(typeof upstream === 'string', 'upstream', 'a text');
  require(isDelay(cacheMs), 'cacheMs', 'a number of milliseconds');
  return {
    agentId,
    allowsUnreachable: onError === 'allow',
    onDenied,
    timeoutMs,
    approvalTimeoutMs: approvalTimeoutOf(options.waitForApproval ?? false),
    session,
    upstream,
    cacheMs,
  };
}

function approvalTimeoutOf(wait: NonNullable<GuardOptions['waitForApproval']>): number {
  if (typeof wait === 'boolean') {
    return wait ? LONGEST_APPROVAL_MS : 0;
  }
  require(isDelay(wait.timeoutMs), 'waitForApproval.timeoutMs', 'a number of milliseconds');
  return wait.timeoutMs;
}

function isSession(session: unknown): boolean {
  return session === undefined || typeof session === 'string' || typeof session === 'function';
}

function isDelay(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_DELAY_MS;
}

function require(isRight: boolean, name: string, what: string): asserts isRight {
  if (!isRight) {
    throw new TypeError(`The option ${name} of the guard must be ${what}.`);
  }
}

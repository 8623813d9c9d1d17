import type { DecisionRow, LogStore, OutcomeRow } from '../db/log-store.ts';
import type { Decision, Outcome } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { StateRead, StateValue, StateWrite } from '../domain/policy-state.ts';
import { toOutcomeRow, toRow } from './decision-row.ts';

export interface DecisionLogOptions {
  /** Decisions that may wait for a commit; more are refused, so that a store that hangs cannot fill the memory. */
  readonly maxPending?: number;
  /** How long outcomes may wait for a decision to be committed with, in milliseconds. */
  readonly outcomeDelayMs?: number;
  /** Told of every failed commit, with the driver's error. */
  readonly onFailure?: (error: unknown) => void;
}

/** What is decided with state: the decision, and what it changes of it; without a decision nothing. */
export interface StatefulDecision {
  readonly decision: Decision | undefined;
  readonly verdict: { readonly writes: readonly StateWrite[] };
}

/** Outcomes that are written without waiting for their time. */
const OUTCOMES_AT_ONCE = 256;

interface Batch {
  readonly rows: DecisionRow[];
  readonly committed: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: GatewayError) => void;
}

/**
 * The write-ahead log of decisions. What arrives in one turn of the event loop goes to the store together, which merges what arrives
 * while it commits, so that the cost is one transaction a group and not one a call.
 */
export class DecisionLog {
  readonly #store: LogStore;
  readonly #maxPending: number;
  readonly #outcomeDelayMs: number;
  readonly #onFailure: (error: unknown) => void;
  #next: Batch | undefined;
  #outcomes: OutcomeRow[] = [];
  /** Decisions handed to the store and not committed yet. */
  #pending = 0;
  /** The last write that was begun; writes end in their order. */
  #lastWrite: Promise<void> = Promise.resolve();
  #writesOpen = 0;
  /** Calls that are being decided with state. */
  #decisionsOpen = 0;
  #onIdle: (() => void) | undefined;
  #scheduled = false;
  #outcomeTimer: NodeJS.Timeout | undefined;
  #areOutcomesDue = false;
  #isClosed = false;

  constructor(store: LogStore, options: DecisionLogOptions = {}) {
    this.#store = store;
    this.#maxPending = options.maxPending ?? 20_000;
    this.#outcomeDelayMs = options.outcomeDelayMs ?? 100;
    this.#onFailure = options.onFailure ?? (() => {});
  }

  /** Resolves when the decision is durable; rejects with `unavailable` when it is not, and then nothing may be forwarded. */
  append(decision: Decision): Promise<void> {
    if (this.#isFull()) {
      return handled(Promise.reject(tooMany()));
    }
    const batch = (this.#next ??= createBatch());
    this.#pending++;
    batch.rows.push(toRow(decision));
    this.#schedule();
    return batch.committed;
  }

  /**
   * Decides with the state that rules keep: no other call, on any replica, decides with any of the same keys meanwhile. Resolves when
   * the decision and the state it changes are durable; nothing is written of a result without a decision. Rejects with `unavailable` when
   * they are not durable, and then nothing may be forwarded.
   */
  async decide<Result extends StatefulDecision>(
    reads: readonly StateRead[],
    step: (states: readonly (StateValue | undefined)[]) => Result,
  ): Promise<Result> {
    if (this.#isFull()) {
      throw tooMany();
    }
    this.#pending++;
    this.#decisionsOpen++;
    let unwritten: Result | undefined;
    try {
      return await this.#store.decide(reads, (states) => {
        const result = step(states);
        if (result.decision === undefined) {
          unwritten = result;
          throw new Error('there is nothing to write');
        }
        return { decision: toRow(result.decision), writes: result.verdict.writes, result };
      });
    } catch (error) {
      if (unwritten !== undefined) {
        return unwritten;
      }
      this.#onFailure(error);
      throw notRecorded(error);
    } finally {
      this.#pending--;
      this.#decisionsOpen--;
      this.#onIdle?.();
    }
  }

  /** Notes what became of an allowed call; written soon after, with the next decisions or on its own. */
  settle(outcome: Outcome): void {
    // Given up rather than piled up: its decision then reads as UNKNOWN.
    if (this.#isClosed || this.#outcomes.length >= this.#maxPending) {
      return;
    }
    this.#outcomes.push(toOutcomeRow(outcome));
    this.#outcomeTimer ??= setTimeout(() => {
      this.#areOutcomesDue = true;
      this.#schedule();
    }, this.#outcomeDelayMs);
  }

  /** Writes all that waits and takes no more; resolves when nothing is left. */
  async close(): Promise<void> {
    while (this.#decisionsOpen > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    while (this.#next !== undefined || this.#outcomes.length > 0 || this.#writesOpen > 0) {
      this.#areOutcomesDue = true;
      this.#write();
      await this.#lastWrite;
    }
    this.#isClosed = true;
  }

  #isFull(): boolean {
    return this.#isClosed || this.#pending >= this.#maxPending;
  }

  // setImmediate runs after all sockets of this turn were read, so calls that arrived together go to the store together.
  #schedule(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#write();
      });
    }
  }

  #write(): void {
    const batch = this.#next;
    const outcomes = this.#takeOutcomes();
    if (batch === undefined && outcomes.length === 0) {
      return;
    }
    this.#next = undefined;
    const write = this.#store.append({ decisions: batch?.rows ?? [], outcomes }).then(
      () => batch?.resolve(),
      (error: unknown) => {
        this.#onFailure(error);
        batch?.reject(notRecorded(error));
      },
    );
    this.#writesOpen++;
    this.#lastWrite = write.finally(() => {
      this.#writesOpen--;
      this.#pending -= batch?.rows.length ?? 0;
    });
  }

  /** Many at a time: in small numbers each commit would write the same pages again. */
  #takeOutcomes(): OutcomeRow[] {
    if (!this.#areOutcomesDue && this.#outcomes.length < OUTCOMES_AT_ONCE) {
      return [];
    }
    this.#areOutcomesDue = false;
    clearTimeout(this.#outcomeTimer);
    this.#outcomeTimer = undefined;
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    return outcomes;
  }
}

function tooMany(): GatewayError {
  return new GatewayError('unavailable', 'Too many decisions wait to be recorded. Try again shortly.');
}

function notRecorded(cause: unknown): GatewayError {
  const message = 'The decision could not be recorded, so the call was not made. Try again later.';
  return new GatewayError('unavailable', message, { cause });
}

function createBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { rows: [], committed: handled(promise), resolve, reject };
}

/** Every caller handles the rejection it awaits; this keeps one that nobody awaits yet, or any more, from ending the process. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

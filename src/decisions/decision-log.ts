import type { DecisionRow, LogStore, OutcomeRow } from '../db/log-store.ts';
import type { Decision, Outcome } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import { toOutcomeRow, toRow } from './decision-row.ts';

export interface DecisionLogOptions {
  /** Decisions that may wait for a commit; more are refused, so that a store that hangs cannot fill the memory. */
  readonly maxPending?: number;
  /** How long outcomes may wait for a decision to be committed with, in milliseconds. */
  readonly outcomeDelayMs?: number;
  /** Told of every failed commit, with the driver's error. */
  readonly onFailure?: (error: unknown) => void;
}

/** Turns of the event loop that a group may grow before it is committed in any case. */
const MAX_GATHERING_TURNS = 8;

interface Batch {
  readonly rows: DecisionRow[];
  readonly committed: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: GatewayError) => void;
}

/**
 * The write-ahead log of decisions. Groups writes: what arrives while one commit runs is committed by the next, so the cost is one
 * transaction a group and not one a call.
 */
export class DecisionLog {
  readonly #store: LogStore;
  readonly #maxPending: number;
  readonly #outcomeDelayMs: number;
  readonly #onFailure: (error: unknown) => void;
  #next: Batch | undefined;
  #outcomes: OutcomeRow[] = [];
  #writing: Promise<void> | undefined;
  #scheduled = false;
  #outcomeTimer: NodeJS.Timeout | undefined;
  #droppedOutcomes = 0;

  constructor(store: LogStore, options: DecisionLogOptions = {}) {
    this.#store = store;
    this.#maxPending = options.maxPending ?? 20_000;
    this.#outcomeDelayMs = options.outcomeDelayMs ?? 100;
    this.#onFailure = options.onFailure ?? (() => {});
  }

  /** Resolves when the decision is durable; rejects with `unavailable` when it is not, and then nothing may be forwarded. */
  append(decision: Decision): Promise<void> {
    const batch = (this.#next ??= createBatch());
    if (batch.rows.length >= this.#maxPending) {
      return Promise.reject(
        new GatewayError('unavailable', 'too many decisions wait to be recorded; try again shortly'),
      );
    }
    batch.rows.push(toRow(decision));
    this.#schedule();
    return batch.committed;
  }

  /** Notes what became of an allowed call; written soon after, with the next decisions or on its own. */
  settle(outcome: Outcome): void {
    if (this.#outcomes.length >= this.#maxPending) {
      this.#droppedOutcomes++;
      return;
    }
    this.#outcomes.push(toOutcomeRow(outcome));
    this.#outcomeTimer ??= setTimeout(() => this.#schedule(), this.#outcomeDelayMs);
  }

  /** How many outcomes were given up because the store did not keep pace; their decisions read as UNKNOWN. */
  get droppedOutcomes(): number {
    return this.#droppedOutcomes;
  }

  /** Writes all that waits; resolves when nothing is left. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined || this.#next !== undefined || this.#outcomes.length > 0) {
      this.#writing ??= this.#write();
      await this.#writing;
    }
  }

  #schedule(): void {
    if (!this.#scheduled && this.#writing === undefined) {
      this.#scheduled = true;
      this.#gather(0, 0);
    }
  }

  /**
   * Commits as soon as a turn of the event loop brought no further decision: at once when calls are rare, and in large groups when they
   * are many, because a commit costs the same for one row as for sixty.
   */
  #gather(turns: number, seen: number): void {
    setImmediate(() => {
      const waiting = this.#next?.rows.length ?? 0;
      if (waiting > seen && turns < MAX_GATHERING_TURNS) {
        this.#gather(turns + 1, waiting);
      } else {
        this.#scheduled = false;
        this.#writing ??= this.#write();
      }
    });
  }

  async #write(): Promise<void> {
    const batch = this.#next;
    const outcomes = this.#takeOutcomes();
    this.#next = undefined;
    try {
      await this.#store.append({ decisions: batch?.rows ?? [], outcomes });
      batch?.resolve();
    } catch (error) {
      this.#droppedOutcomes += outcomes.length;
      this.#onFailure(error);
      batch?.reject(
        new GatewayError(
          'unavailable',
          'the decision could not be recorded, so the call was not made; try again later',
          {
            cause: error,
          },
        ),
      );
    }
    this.#writing = undefined;
    if (this.#next !== undefined) {
      this.#schedule();
    }
  }

  #takeOutcomes(): OutcomeRow[] {
    clearTimeout(this.#outcomeTimer);
    this.#outcomeTimer = undefined;
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    return outcomes;
  }
}

function createBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Every caller handles the rejection it awaits; this keeps a batch nobody awaits any more from ending the process.
  promise.catch(() => {});
  return { rows: [], committed: promise, resolve, reject };
}

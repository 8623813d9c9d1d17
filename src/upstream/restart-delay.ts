import { GatewayError } from '../domain/errors.ts';

/** A process that lived for this long did not fail because of how it was started. */
const HEALTHY_MS = 10_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** Slows down the starts of something that fails again and again soon after its start: at once, then 0.5 s, 1 s, 2 s … 30 s. */
export class RestartDelay {
  readonly #slug: string;
  readonly #now: () => number;
  #startTime = 0;
  #failures = 0;
  readonly #longestLockMs: number;
  #failTime = 0;
  #delayMs = 0;
  #lastMessage = '';

  /** `start` refuses for `longestLockMs` at most. */
  constructor(slug: string, now: () => number, longestLockMs = LONGEST_DELAY_MS) {
    this.#slug = slug;
    this.#now = now;
    this.#longestLockMs = longestLockMs;
  }

  /** Notes a start; throws `unavailable` when it is too early for one. */
  start(): void {
    const waitMs = this.#failTime + Math.min(this.#delayMs, this.#longestLockMs) - this.#now();
    if (waitMs > 0) {
      const message =
        `The upstream "${this.#slug}" failed ${this.#failures} times in a row; ` +
        `it is started again in ${Math.ceil(waitMs / 1000)} s. Last error: ${this.#lastMessage}`;
      throw new GatewayError('unavailable', message, { retryAfterMs: waitMs });
    }
    this.#startTime = this.#now();
  }

  /** Notes that it ended without being told to. */
  failed(error: Error): void {
    const isEarly = this.#now() - this.#startTime < HEALTHY_MS;
    this.#failures = isEarly ? this.#failures + 1 : 1;
    this.#lastMessage = error.message;
    this.#failTime = this.#now();
    this.#delayMs = this.#failures < 2 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#failures - 2));
  }

  /** How long a start that nobody waits for should be put off, in milliseconds. */
  get waitMs(): number {
    return Math.max(0, this.#failTime + this.#delayMs - this.#now());
  }

  /** True when past failures no longer matter. */
  get isForgotten(): boolean {
    return this.#failures === 0 || this.#now() > this.#failTime + this.#delayMs + HEALTHY_MS;
  }
}

/** Paces something that fails again and again: each wait is twice the one before. */
export class Pacer {
  readonly #firstMs: number;
  readonly #longestMs: number;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(firstMs: number, longestMs: number) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
  }

  /** True until `reset`. */
  get hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** True until the wait is over. */
  get isWaiting(): boolean {
    return this.#timer !== undefined;
  }

  /** Notes a failure, and calls after the wait, which is at least that long. */
  failed(then: () => void, atLeastMs = 0): void {
    clearTimeout(this.#timer);
    const delayMs = Math.min(this.#longestMs, this.#firstMs * 2 ** this.#failures);
    this.#failures++;
    const fire = () => {
      this.#timer = undefined;
      then();
    };
    this.#timer = setTimeout(fire, Math.max(delayMs, atLeastMs)).unref();
  }

  /** Forgets the failures; a wait that is on ends without a call. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#failures = 0;
  }
}

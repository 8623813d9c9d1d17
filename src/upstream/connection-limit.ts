/** Permits for at most so many connections; one that is ending keeps its permit until it is gone. */
export class ConnectionLimit {
  #free: number;
  #ending = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#free = max;
  }

  /**
   * Resolves with a permit; when none is free and none is about to be, `evict` is asked to end a connection that can be spared
   * (true = it will). Undefined when there is none.
   */
  acquire(evict: () => boolean): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    if (this.#waiting.length < this.#ending) {
      return this.#wait();
    }
    if (!evict()) {
      return undefined;
    }
    // A connection may be gone as soon as it is told to end.
    return this.#free > 0 ? this.acquire(evict) : this.#wait();
  }

  /** A connection with a permit has been told to end. */
  ending(): void {
    this.#ending++;
  }

  /** It is gone; `wasEnding` tells whether it had been told to. */
  release(wasEnding: boolean): void {
    if (wasEnding) {
      this.#ending--;
    }
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#free++;
    } else {
      next();
    }
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

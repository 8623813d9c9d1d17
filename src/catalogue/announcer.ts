import type { ListName } from './list-kinds.ts';

/** Tells of changed lists at once, and during a flood of changes once every `everyMs`. */
export class Announcer {
  readonly #tell: (lists: readonly ListName[]) => void;
  readonly #everyMs: number;
  readonly #changed = new Set<ListName>();
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number, tell: (lists: readonly ListName[]) => void) {
    this.#everyMs = everyMs;
    this.#tell = tell;
  }

  announce(lists: Iterable<ListName>): void {
    for (const list of lists) {
      this.#changed.add(list);
    }
    if (this.#timer === undefined) {
      this.#flush();
    }
  }

  /** Says nothing any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#changed.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    if (this.#changed.size > 0) {
      const lists = [...this.#changed];
      this.#changed.clear();
      this.#timer = setTimeout(() => this.#flush(), this.#everyMs).unref();
      this.#tell(lists);
    }
  }
}

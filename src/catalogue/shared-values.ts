interface Shared<Value> {
  readonly value: Value;
  readonly size: number;
  users: number;
}

/** Values that are held once however many use them; what nobody uses any more is forgotten. */
export class SharedValues<Value> {
  readonly #byKey = new Map<string, Shared<Value>>();
  #size = 0;

  /** Sizes of all values together, each counted once. */
  get size(): number {
    return this.#size;
  }

  /** The value of this key, which is `value` when nobody holds one yet; every take needs its `release`. */
  take(key: string, value: Value, size: number): Value {
    let shared = this.#byKey.get(key);
    if (shared === undefined) {
      shared = { value, size, users: 0 };
      this.#byKey.set(key, shared);
      this.#size += size;
    }
    shared.users++;
    return shared.value;
  }

  /** The value of this key, if somebody holds it. */
  find(key: string): Value | undefined {
    return this.#byKey.get(key)?.value;
  }

  release(key: string): void {
    const shared = this.#byKey.get(key);
    if (shared === undefined) {
      return;
    }
    shared.users--;
    if (shared.users === 0) {
      this.#byKey.delete(key);
      this.#size -= shared.size;
    }
  }
}

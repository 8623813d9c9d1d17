/** Cuts a byte stream into lines; a character that two chunks share stays whole. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number, onLine: (line: string) => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  /** Takes the next bytes and hands out the lines they complete; false when a line is longer than the limit, which drops it. */
  push(chunk: Buffer): boolean {
    let start = 0;
    let end = chunk.indexOf(0x0a);
    while (end !== -1) {
      if (!this.#keep(chunk.subarray(start, end))) {
        return false;
      }
      this.#complete();
      start = end + 1;
      end = chunk.indexOf(0x0a, start);
    }
    return this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): boolean {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) {
      this.#parts = [];
      this.#bytes = 0;
      return false;
    }
    this.#parts.push(part);
    return true;
  }

  #complete(): void {
    const line = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    const text = line?.toString('utf8').trim() ?? '';
    if (text !== '') {
      this.#onLine(text);
    }
  }
}

/** Loaded into a measured process with `--expose-gc --import`: collects garbage and tells the memory in use when asked over IPC. */
export interface MemoryReading {
  /** Bytes the process keeps after a collection: JavaScript heap and what hangs on it outside. */
  readonly retained: number;
  readonly resident: number;
}

process.on('message', () => {
  // The second collection frees what finalizers of the first let go.
  globalThis.gc?.();
  setImmediate(() => {
    globalThis.gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    process.send?.({ retained: heapUsed + external, resident: rss } satisfies MemoryReading);
  });
});
process.channel?.unref();

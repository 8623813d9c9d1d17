/**
 * Makes a function whose runs never overlap and whose callers share them: a call during a run gets the next one, so what it waits
 * for began after it asked.
 */
export function createSerial(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = () => {
    running = run().finally(() => {
      running = undefined;
    });
    return running;
  };
  const startNext = () => {
    next = undefined;
    return start();
  };
  return () => {
    if (next !== undefined) return next;
    if (running === undefined) return start();
    next = running.then(startNext, startNext);
    return next;
  };
}

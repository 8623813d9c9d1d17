/** Resolves with true when the work is done within that time, else with false; the work goes on. */
export function within(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, milliseconds, false);
  work.then(() => resolve(true), reject);
  return promise.finally(() => clearTimeout(timer));
}

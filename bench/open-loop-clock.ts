import { parentPort, workerData } from 'node:worker_threads';

/**
 * The clock of the open loop: a thread of its own, because timers of the event loop are exact to a millisecond only. It sleeps until
 * each intended send time on the futex behind Atomics.wait (50 µs exact) and rings; the generator counts what is due by itself.
 */
const { startMillis, intervalMillis, total } = workerData as {
  startMillis: number;
  intervalMillis: number;
  total: number;
};

const cell = new Int32Array(new SharedArrayBuffer(4));
const now = () => performance.timeOrigin + performance.now();

for (let sent = 0; sent < total; ) {
  const wait = startMillis + sent * intervalMillis - now();
  if (wait > 0) Atomics.wait(cell, 0, 0, wait);
  const due = Math.min(total, Math.floor((now() - startMillis) / intervalMillis) + 1);
  if (due > sent) {
    sent = due;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a MessagePort has no origin
    parentPort?.postMessage(0);
  }
}

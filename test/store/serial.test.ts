import { expect, it } from 'vitest';
import { createSerial } from '../../src/snapshot/serial.ts';

it('runs that never overlap are shared by those who ask during the one before', async () => {
  const runs: PromiseWithResolvers<void>[] = [];
  const serial = createSerial(() => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  });
  const first = serial();
  const second = serial();
  const third = serial();

  expect(runs).toHaveLength(1);
  expect(second).toBe(third);
  expect(second).not.toBe(first);
  runs[0]?.resolve();
  await first;
  await new Promise(setImmediate);
  expect(runs).toHaveLength(2);
  const fourth = serial();
  expect(fourth).not.toBe(second);
  runs[1]?.reject(new Error('on purpose'));
  await expect(second).rejects.toThrow('on purpose');
  await new Promise(setImmediate);
  expect(runs).toHaveLength(3);
  runs[2]?.resolve();
  await fourth;
});

import { expect, it } from 'vitest';
import { createBackoff, waitUntil } from '../src/backoff.ts';

it('doubles the delay up to the longest, and begins again after a reset', () => {
  const backoff = createBackoff({ firstDelayMs: 500, maxDelayMs: 10_000, random: () => 1 });

  expect(Array.from({ length: 7 }, backoff.next)).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  backoff.reset();
  expect(backoff.next()).toBe(500);
});

it('draws each delay from its upper half', () => {
  const lowest = createBackoff({ firstDelayMs: 500, maxDelayMs: 10_000, random: () => 0 });
  const middle = createBackoff({ firstDelayMs: 500, maxDelayMs: 10_000, random: () => 0.5 });

  expect([lowest.next(), lowest.next()]).toEqual([250, 500]);
  expect([middle.next(), middle.next()]).toEqual([375, 750]);
});

it('stays at the longest delay however often it is asked', () => {
  const backoff = createBackoff({ firstDelayMs: 500, maxDelayMs: 10_000, random: () => 1 });

  const delays = Array.from({ length: 5000 }, backoff.next);

  expect(delays.at(-1)).toBe(10_000);
});

it('stops to wait when the signal is aborted, before or during the wait', async () => {
  const aborter = new AbortController();
  const hour = 3_600_000;

  const wait = waitUntil(hour, aborter.signal);
  aborter.abort();

  await expect(wait).resolves.toBeUndefined();
  await expect(waitUntil(hour, aborter.signal)).resolves.toBeUndefined();
});

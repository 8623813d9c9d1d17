import { describe, expect, it } from 'vitest';
import { createAttemptLimiter } from '../../src/authn/attempt-limiter.ts';

describe('an attempt limiter', () => {
  it('refuses beyond the limit until the window ends, and says how long', () => {
    let time = 0;
    const limiter = createAttemptLimiter({ limit: 2, windowMs: 60_000, now: () => time });
    limiter.take('a');
    time = 1000;
    limiter.take('a');
    expect(() => limiter.take('a')).toThrow(
      expect.objectContaining({
        reason: 'rate_limit_exceeded',
        message: 'Too many attempts. Try again in 59 seconds.',
        retryAfterMs: 59_000,
      }),
    );
    limiter.take('b');
    time = 60_000;
    limiter.take('a');
  });

  it('does not count what was given back', () => {
    const limiter = createAttemptLimiter({ limit: 1, windowMs: 60_000, now: () => 0 });
    for (let round = 0; round < 5; round++) {
      limiter.take('a');
      limiter.giveBack('a');
    }
    limiter.giveBack('a');
    limiter.giveBack('never taken');
    limiter.take('a');
    expect(() => limiter.take('a')).toThrow('Too many attempts');
  });

  it('forgets the oldest window rather than growing', () => {
    const limiter = createAttemptLimiter({ limit: 1, windowMs: 60_000, maxNames: 3, now: () => 0 });
    for (const name of ['a', 'b', 'c', 'd']) {
      limiter.take(name);
    }
    expect(() => limiter.take('d')).toThrow('Too many attempts');
    expect(() => limiter.take('c')).toThrow('Too many attempts');
    limiter.take('a');
  });
});

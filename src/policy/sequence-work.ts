import { GatewayError } from '../domain/errors.ts';

/** Most patterns that are compared or visited: some 200 ms. */
const MAX_WORK = 2_000_000;

/** Counts patterns that are compared or visited. @throws GatewayError `validation_failed` when it has become too many */
export type CountWork = (patterns: number) => void;

/** Makes the count for one policy. */
export function createWorkCount(): CountWork {
  let left = MAX_WORK;
  return (patterns) => {
    left -= patterns;
    if (left < 0) {
      throw new GatewayError(
        'validation_failed',
        'The sequences of the policies, and the targets, are too many to find out whether these can ever be met: use fewer patterns.',
      );
    }
  };
}

import { setTimeout as sleep } from 'node:timers/promises';

/** Lets work that takes long go on in pieces, so that other work is not held up. */
export interface Pace {
  /** True when the piece has lasted long enough. */
  isOver(): boolean;
  /** Resolves when all else that waited has had several turns, and begins the next piece. */
  rest(): Promise<void>;
}

/** How long a piece lasts and how long others have the event loop for themselves after it, in milliseconds: a call takes several turns. */
const PIECE_MS = 2;
const REST_MS = 2;

/** Hands out paces of which only one has a piece at a time. */
export function createPaces(): () => Pace {
  let lastRest: Promise<unknown> = Promise.resolve();
  return () => {
    let end = performance.now() + PIECE_MS;
    return {
      isOver: () => performance.now() >= end,
      async rest() {
        const rest = lastRest.then(() => sleep(REST_MS));
        lastRest = rest;
        await rest;
        end = performance.now() + PIECE_MS;
      },
    };
  };
}

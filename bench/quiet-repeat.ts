import type { LoadReading } from './load-meter.ts';

/** Cores that other processes may keep busy before a measurement is taken again. */
const DISTURBED = 0.15;

/** Takes a measurement again while others disturb it, as long as repeats are left in the whole run. */
export interface QuietRepeat {
  run<T extends { readonly load: LoadReading }>(measure: () => Promise<T>): Promise<T>;
}

/** Makes one for a run; of the attempts the least disturbed one counts. */
export function createQuietRepeat(repeats: number): QuietRepeat {
  let left = repeats;
  return {
    async run(measure) {
      let best = await measure();
      for (let attempt = 1; attempt < 3 && best.load.foreign > DISTURBED && left > 0; attempt++) {
        left -= 1;
        const next = await measure();
        if (next.load.foreign < best.load.foreign) best = next;
      }
      return best;
    },
  };
}

import { type DatabaseLocation, openDatabase } from '../../src/db/store.ts';
import { newId } from '../../src/domain/ids.ts';
import { add } from './counting.ts';

/** Counts under one key until the process is killed, and prints each number once its decision is committed. */
async function decideUntilKilled(location: DatabaseLocation): Promise<void> {
  const { log } = await openDatabase(location);
  const countOn = async () => {
    for (;;) {
      const [before = 0] = await add(log, newId(), ['calls']);
      process.stdout.write(`${before + 1}\n`);
    }
  };
  await Promise.all(Array.from({ length: 16 }, countOn));
}

const [location = ''] = process.argv.slice(2);
await decideUntilKilled(JSON.parse(location) as DatabaseLocation);

import { describe, expect, it } from 'vitest';
import { groupWrites } from '../../src/db/grouped-writes.ts';

/** Writes that end when they are told to. */
function heldWrites() {
  const groups: (readonly number[])[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const write = (items: readonly number[]) => {
    groups.push(items);
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  };
  return { groups, ends, write };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('grouped writes', () => {
  it('write at once what comes alone, and together what comes meanwhile', async () => {
    const { groups, ends, write } = heldWrites();
    const add = groupWrites({ write, sizeOf: () => 1 });
    const written = [1, 2, 3].map(add);
    expect(groups).toEqual([[1]]);
    ends[0]?.resolve();
    await written[0];
    await turn();

    expect(groups).toEqual([[1], [2, 3]]);
    ends[1]?.resolve();
    await Promise.all(written);
  });

  it('make no group larger than it may be, except of one item', async () => {
    const { groups, ends, write } = heldWrites();
    const add = groupWrites({ write, sizeOf: (size: number) => size, maxSize: 5 });
    const written = [1, 2, 3, 9, 1].map(add);
    for (let n = 0; n < 4; n++) {
      while (ends[n] === undefined) await turn();
      ends[n]?.resolve();
    }
    await Promise.all(written);

    expect(groups).toEqual([[1], [2, 3], [9], [1]]);
  });

  it('reject all of a group that fails, and go on with the next', async () => {
    const { ends, write } = heldWrites();
    const add = groupWrites({ write, sizeOf: () => 1 });
    const written = [1, 2, 3].map(add);
    ends[0]?.resolve();
    await turn();
    ends[1]?.reject(new Error('on purpose'));
    const settled = await Promise.allSettled(written);
    const next = add(4);
    ends[2]?.resolve();
    await next;

    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('wait a moment for as many as before, but not for ever', async () => {
    const { groups, ends, write } = heldWrites();
    const add = groupWrites({ write, sizeOf: () => 1 });
    const many = Array.from({ length: 11 }, (_, n) => add(n));
    ends[0]?.resolve();
    await turn();
    ends[1]?.resolve();
    await Promise.all(many);
    const few = [add(11), add(12)];
    while (ends[2] === undefined) await turn();
    ends[2].resolve();
    await Promise.all(few);

    expect(groups.at(-1)).toEqual([11, 12]);
  });
});

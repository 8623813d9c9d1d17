import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { NO_FACTS } from '../../src/catalogue/fetch-offer.ts';
import { OfferShelf } from '../../src/catalogue/offer-shelf.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { until } from './support.ts';

test('of equal lists one is kept, and what else was read is let go while its offer is in use', async () => {
  const shelf = new OfferShelf();
  const upstream = upstreamOf({ kind: 'streamable_http', url: 'http://127.0.0.1:9/mcp' });
  const hold = () => {
    const items = [{ name: 'one' }];
    const lists = new Map([['tools', { items, hash: 'equal', size: 14, ttlMs: undefined, flaw: undefined }] as const]);
    const held = shelf.hold({ upstream, era: 'legacy', facts: NO_FACTS, lists, problem: undefined });
    return { held, read: new WeakRef(items) };
  };
  const [first, second] = [hold(), hold()];
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');

  await until(() => {
    collect();
    return second.read.deref() === undefined;
  });
  expect(second.held.offer).toBe(first.held.offer);
  expect(second.held.offer.tools).toBe(first.read.deref());
  first.held.release();
  second.held.release();
  expect(shelf.size).toBe(0);
});

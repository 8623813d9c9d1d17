import type { HotConfig } from '../snapshot/hot-config.ts';
import { createCompositions } from './compositions.ts';
import { createOffers, type OffersDeps } from './offers.ts';
import { createSeating } from './seats.ts';

export interface CatalogueDeps extends OffersDeps {
  readonly config: Pick<HotConfig, 'findUpstream' | 'onUpstreamChange'>;
}

export type Catalogue = ReturnType<typeof createCatalogue>;

/** Makes everything that knows what upstreams offer, and keeps it in step with their configuration. */
export function createCatalogue(deps: CatalogueDeps) {
  const { config } = deps;
  const seating = createSeating(config);
  const offers = createOffers(deps);
  const compositions = createCompositions({ offers, seating });
  const stopFollowing = config.onUpstreamChange((_upstream, id) => offers.forget(id));

  function close(): void {
    stopFollowing();
    compositions.close();
    offers.close();
    seating.close();
  }

  return { seating, offers, compositions, close };
}

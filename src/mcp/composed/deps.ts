import type { Compositions } from '../../catalogue/compositions.ts';
import type { Offers } from '../../catalogue/offers.ts';
import type { Seating } from '../../catalogue/seats.ts';
import type { Listing } from '../../pipeline/listing.ts';
import type { HotConfig } from '../../snapshot/hot-config.ts';
import type { Channels } from '../../upstream/channels.ts';
import type { GovernDeps } from '../govern.ts';
import type { Sessions } from '../sessions.ts';
import type { ForwardDeps } from './forward.ts';
import type { SessionSubscriptions } from './session-subscriptions.ts';
import type { SharedSubscriptions } from './shared-subscriptions.ts';

/** What the composed face is made of. */
export interface ComposedFaceDeps extends GovernDeps, ForwardDeps {
  readonly offers: Pick<Offers, 'onChange'>;
  readonly compositions: Pick<Compositions, 'of' | 'peek'>;
  readonly seating: Pick<Seating, 'seatsOf'>;
  readonly listing: Listing;
  readonly channels: Channels;
  readonly sessions: Sessions;
}

/** The same with what it keeps itself. */
export interface ComposedDeps extends ComposedFaceDeps {
  readonly config: HotConfig;
  readonly subscriptions: SessionSubscriptions;
  readonly shared: SharedSubscriptions;
}

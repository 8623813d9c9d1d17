import { GatewayError } from '../domain/errors.ts';
import type { PrincipalId, UpstreamId } from '../domain/ids.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Channels } from '../upstream/channels.ts';
import type { EraBook } from '../upstream/era.ts';
import type { UpstreamHealth } from '../upstream/health.ts';
import { UpstreamRpcError } from '../upstream/rpc-error.ts';
import type { ListName } from './list-kinds.ts';
import type { Offer, Viewer } from './offer.ts';
import { OFFER_SETTINGS, type OfferSettings } from './offer-settings.ts';
import { OfferShelf } from './offer-shelf.ts';
import { UpstreamOffers, type UpstreamOffersOptions } from './upstream-offers.ts';
import { createCapabilityKeys } from './viewer-key.ts';

export type { ListName } from './list-kinds.ts';

/** What a principal is offered may be something else now. */
export interface OfferChange {
  readonly upstreamId: UpstreamId;
  readonly lists: readonly ListName[];
  readonly principalId: PrincipalId;
}

/** What upstreams offer, kept so that it need not be asked for with every list. */
export interface Offers {
  /**
   * What the upstream offers the viewer, asked for if need be. Waits at most `patienceMs` (default: the upstream's time-out), 10 s for
   * what was never read and 5 s for what is known to have changed; does not wait for an upstream that failed before. Never rejects: what
   * went wrong is the Offer's problem.
   */
  offerOf(upstream: Upstream, viewer: Viewer, patienceMs?: number): Promise<Offer>;
  /** The same where nothing must be waited for; undefined where it must. */
  ready(upstream: Upstream, viewer: Viewer): Offer | undefined;
  /** What is known, true or not, without asking; it counts as use. */
  peek(upstream: Upstream, viewer: Viewer): Offer | undefined;
  /** Hears when lists that were served are not true any more, also because the upstream was changed or removed. */
  onChange(listener: (change: OfferChange) => void): () => void;
  /** The upstream was changed or removed. */
  forget(upstreamId: string): void;
  close(): void;
}

export interface OffersDeps {
  readonly channels: Pick<Channels, 'open'>;
  readonly eras: Pick<EraBook, 'erasOf' | 'probe' | 'forget'>;
  readonly health: Pick<UpstreamHealth, 'report'>;
  readonly now?: () => number;
  /** Takes what the gateway itself did wrong. */
  readonly onError?: (error: unknown) => void;
  readonly settings?: Partial<OfferSettings>;
}

/** Makes the cache, which is empty. */
export function createOffers(deps: OffersDeps): Offers {
  const { now = Date.now, onError = () => {} } = deps;
  const settings = { ...OFFER_SETTINGS, ...deps.settings };
  const shelf = new OfferShelf();
  const capabilityKeys = createCapabilityKeys();
  const changes = createChangeTeller(onError);
  const book = createBook((upstream) => {
    const onGrowth = () => evict([...book.all()], shelf, settings);
    const onRead = () => deps.health.report(upstream.id, true);
    const onTrouble = (_problem: unknown, error: unknown) => noteFailure(deps, upstream, error, onError);
    const onChange: UpstreamOffersOptions['onChange'] = (principalId, lists) =>
      changes.tell({ upstreamId: upstream.id, lists, principalId });
    const told = { onGrowth, onRead, onTrouble, onChange };
    return new UpstreamOffers({ upstream, line: deps, eras: deps.eras, shelf, settings, now, capabilityKeys, ...told });
  });
  const sweep = setInterval(() => removeUnused(book, now() - settings.forgetMs), settings.sweepMs).unref();

  return {
    offerOf(upstream, viewer, patienceMs = upstream.timeoutMs) {
      const known = book.at(upstream);
      const entry = known.entryOf(viewer);
      const newWaitMs = known.trouble === undefined ? settings.firstWaitMs : settings.troubledWaitMs;
      const longestMs = Math.min(patienceMs, entry.isNew ? newWaitMs : settings.changedWaitMs);
      return entry.offer(longestMs, known.trouble);
    },
    ready: (upstream, viewer) => book.at(upstream).entryOf(viewer).ready(),
    peek(upstream, viewer) {
      const entry = book.at(upstream).find(viewer);
      entry?.touch();
      return entry?.known;
    },
    onChange: changes.add,
    forget: book.forget,
    close() {
      clearInterval(sweep);
      changes.end();
      for (const { upstream } of book.all()) {
        book.forget(upstream.id);
      }
    },
  };
}

type Book = ReturnType<typeof createBook>;

/** What is known, by upstream: of the newest revision that was asked for. */
function createBook(create: (upstream: Upstream) => UpstreamOffers) {
  const byId = new Map<string, UpstreamOffers>();

  const forget = (upstreamId: string): void => {
    const known = byId.get(upstreamId);
    byId.delete(upstreamId);
    known?.close();
  };

  const at = (upstream: Upstream): UpstreamOffers => {
    const known = byId.get(upstream.id);
    if (known !== undefined && known.upstream.revision >= upstream.revision) {
      return known;
    }
    forget(upstream.id);
    const made = create(upstream);
    byId.set(upstream.id, made);
    return made;
  };

  return { at, forget, all: () => byId.values() };
}

/** Tells listeners, none of which can keep the others from hearing. */
function createChangeTeller(onError: (error: unknown) => void) {
  const listeners = new Set<{ readonly listener: (change: OfferChange) => void }>();
  return {
    add(listener: (change: OfferChange) => void): () => void {
      const entry = { listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    tell(change: OfferChange): void {
      for (const { listener } of listeners) {
        try {
          listener(change);
        } catch (error) {
          onError(error);
        }
      }
    },
    end: () => listeners.clear(),
  };
}

/** An upstream that cannot be reached may speak another era when it is back. */
function noteFailure(
  { health, eras }: Pick<OffersDeps, 'health' | 'eras'>,
  upstream: Upstream,
  error: unknown,
  onError: (error: unknown) => void,
): void {
  if (error instanceof GatewayError) {
    if (error.reason === 'bad_gateway' || error.reason === 'upstream_timeout') {
      health.report(upstream.id, false);
      eras.forget(upstream.id);
    }
  } else if (error !== undefined && !(error instanceof UpstreamRpcError)) {
    onError(error);
  }
}

function removeUnused(book: Book, before: number): void {
  for (const known of book.all()) {
    for (const { entry, remove } of known.entries()) {
      entry.rest();
      if (entry.lastUse < before) {
        remove();
      }
    }
    if (known.size === 0) {
      book.forget(known.upstream.id);
    }
  }
}

/** Gives up what was not used for longest when there is too much, down to nine tenths so that this is not needed every time. */
function evict(all: readonly UpstreamOffers[], shelf: OfferShelf, { maxSize, maxEntries }: OfferSettings): void {
  let count = all.reduce((sum, { size }) => sum + size, 0);
  if (shelf.size <= maxSize && count <= maxEntries) {
    return;
  }
  const oldest = all.flatMap((known) => [...known.entries()]).sort((a, b) => a.entry.lastUse - b.entry.lastUse);
  for (const { remove } of oldest.slice(0, -1)) {
    if (shelf.size <= maxSize * 0.9 && count <= maxEntries * 0.9) {
      return;
    }
    remove();
    count--;
  }
}

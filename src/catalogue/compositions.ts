import type { Target } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { compose } from './compose.ts';
import type { Composition } from './composition.ts';
import type { Offer, Viewer } from './offer.ts';
import { notInTime } from './offer-problem.ts';
import type { Offers } from './offers.ts';
import type { Seating, Seats } from './seats.ts';
import { SharedValues } from './shared-values.ts';
import { createCapabilityKeys } from './viewer-key.ts';

/** What gateways, and upstreams composed alone, offer. */
export interface Compositions {
  /** What the target offers the viewer, as far as its upstreams are known; waits as {@link Offers.offerOf} does. Never rejects. */
  of(target: Target, viewer: Viewer): Promise<Composition>;
  /**
   * What is known of it, true or not, without asking: enough to tell which upstream a name belongs to. Its upstreams are those configured
   * now. Undefined = nothing is known of any of them. It counts as use of the upstreams' offers.
   */
  peek(target: Target, viewer: Viewer): Composition | undefined;
  close(): void;
}

export interface CompositionsDeps {
  readonly offers: Pick<Offers, 'offerOf' | 'ready' | 'peek'>;
  readonly seating: Pick<Seating, 'seatsOf'>;
  readonly now?: () => number;
  readonly limits?: Partial<typeof LIMITS>;
}

/** What a viewer was offered last. */
interface View {
  readonly target: Target;
  readonly seats: Seats;
  readonly offers: readonly Offer[];
  readonly composition: Composition;
  /** Under which the composition is shared. */
  readonly key: string;
  /** When use was noted last. */
  useTime: number;
}

const LIMITS = {
  views: 10_000,
  /** Tools, prompts, resources and templates of all compositions together. */
  items: 200_000,
  /** A view that was not used for this long is forgotten. */
  forgetMs: 15 * 60_000,
};

/** How often the upstreams' offers are told that they are in use. */
const TOUCH_MS = 60_000;

/** Makes the cache: nothing is composed twice for equal offers, whoever views them. */
export function createCompositions({ offers, seating, now = Date.now, ...options }: CompositionsDeps): Compositions {
  const limits = { ...LIMITS, ...options.limits };
  const capabilityKeys = createCapabilityKeys();
  const views = createViews(limits);
  const unknown = new WeakMap<Upstream, Offer>();
  const keyOf = (target: Target, viewer: Viewer) =>
    `${target.id} ${viewer.principal.id} ${viewer.era} ${capabilityKeys.of(viewer)}`;

  const unknownOf = (upstream: Upstream, { era }: Viewer): Offer => {
    const made = unknown.get(upstream) ?? unknownOffer(upstream, era);
    unknown.set(upstream, made);
    return made;
  };

  /** What may be served at once. */
  const ready = (target: Target, seats: Seats, viewer: Viewer): Composition | undefined => {
    const found = seats.members.map(({ upstream }) => offers.ready(upstream, viewer));
    return found.every(isKnown)
      ? views.put(keyOf(target, viewer), { target, seats, offers: found }, now()).composition
      : undefined;
  };

  const wait = async (target: Target, seats: Seats, viewer: Viewer): Promise<Composition> => {
    const waited = seats.members.map(({ upstream, timeoutMs }) => offers.offerOf(upstream, viewer, timeoutMs));
    return views.put(keyOf(target, viewer), { target, seats, offers: await Promise.all(waited) }, now()).composition;
  };

  const peekAgain = (target: Target, viewer: Viewer, key: string): Composition | undefined => {
    const seats = seating.seatsOf(target);
    const found = seats.members.map(({ upstream }) => offers.peek(upstream, viewer));
    if (!found.some(isKnown)) {
      return undefined;
    }
    const filled = seats.members.map(({ upstream }, index) => found[index] ?? unknownOf(upstream, viewer));
    return views.put(key, { target, seats, offers: filled }, now()).composition;
  };

  const sweep = setInterval(() => views.forget(now() - limits.forgetMs), limits.forgetMs / 10).unref();

  return {
    of(target, viewer) {
      const seats = seating.seatsOf(target);
      const served = ready(target, seats, viewer);
      return served === undefined ? wait(target, seats, viewer) : Promise.resolve(served);
    },
    peek(target, viewer) {
      const key = keyOf(target, viewer);
      const view = views.find(key);
      const isCurrent = view !== undefined && view.seats === seating.seatsOf(target);
      return isCurrent && now() - view.useTime < TOUCH_MS ? view.composition : peekAgain(target, viewer, key);
    },
    close() {
      clearInterval(sweep);
      views.forget(Number.POSITIVE_INFINITY);
    },
  };
}

function isKnown(offer: Offer | undefined): offer is Offer {
  return offer !== undefined;
}

/** Remembers what each viewer was offered; equal compositions of different viewers are one. */
function createViews(limits: typeof LIMITS) {
  const views = new Map<string, View>();
  const compositions = new SharedValues<Composition>();
  const numbers = createNumbers();

  const drop = (key: string, view: View): void => {
    views.delete(key);
    compositions.release(view.key);
  };

  const make = ({ target, seats, offers }: Pick<View, 'target' | 'seats' | 'offers'>, useTime: number): View => {
    const members = seats.members.flatMap((member, index) => {
      const offer = offers[index];
      return offer === undefined ? [] : [{ ...member, offer }];
    });
    const key = [target, seats, ...offers].map(numbers.of).join(' ');
    const made = compositions.find(key) ?? compose({ target, members, missing: seats.missing });
    const composition = compositions.take(
      key,
      made,
      offers.reduce((sum, offer) => sum + weightOf(offer), 1),
    );
    return { target, seats, offers, composition, key, useTime };
  };

  const evict = (): void => {
    if (views.size <= limits.views && compositions.size <= limits.items) {
      return;
    }
    const oldest = [...views].sort(([, one], [, other]) => one.useTime - other.useTime);
    for (const [key, view] of oldest.slice(0, -1)) {
      if (views.size <= limits.views * 0.9 && compositions.size <= limits.items * 0.9) {
        return;
      }
      drop(key, view);
    }
  };

  return {
    find: (key: string) => views.get(key),
    put(key: string, parts: Pick<View, 'target' | 'seats' | 'offers'>, useTime: number): View {
      const before = views.get(key);
      if (before !== undefined && before.seats === parts.seats && isSame(before.offers, parts.offers)) {
        before.useTime = useTime;
        return before;
      }
      const view = make(parts, useTime);
      if (before !== undefined) {
        drop(key, before);
      }
      views.set(key, view);
      evict();
      return view;
    },
    forget(before: number): void {
      for (const [key, view] of views) {
        if (view.useTime < before) {
          drop(key, view);
        }
      }
    },
  };
}

/** Numbers objects, so that a text can stand for several of them. */
function createNumbers() {
  const numbers = new WeakMap<object, number>();
  let last = 0;
  return {
    of: (object: object): number => {
      const number = numbers.get(object) ?? ++last;
      numbers.set(object, number);
      return number;
    },
  };
}

function isSame(one: readonly Offer[], other: readonly Offer[]): boolean {
  return one.length === other.length && one.every((offer, index) => offer === other[index]);
}

function weightOf({ tools, prompts, resources, resourceTemplates }: Offer): number {
  return tools.length + prompts.length + resources.length + resourceTemplates.length;
}

function unknownOffer(upstream: Upstream, era: Offer['era']): Offer {
  return {
    upstream,
    era,
    capabilities: {},
    serverInfo: undefined,
    instructions: undefined,
    tools: [],
    prompts: [],
    resources: [],
    resourceTemplates: [],
    problem: notInTime(upstream.slug),
  };
}

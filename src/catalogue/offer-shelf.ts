import { createHash } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { OfferFacts } from './fetch-offer.ts';
import { LIST_KINDS, type ListName, type OfferList } from './list-kinds.ts';
import type { Offer, OfferProblem } from './offer.ts';
import { type ListRead, NO_ITEMS } from './read-list.ts';
import { SharedValues } from './shared-values.ts';

/** What an Offer is made of. */
export interface OfferParts {
  readonly upstream: Upstream;
  readonly era: Era;
  readonly facts: OfferFacts;
  /** A list that is not there is empty. */
  readonly lists: ReadonlyMap<OfferList, ListRead>;
  readonly problem: OfferProblem | undefined;
}

/** An Offer in use. */
export interface HeldOffer {
  readonly offer: Offer;
  /** Its lists as they were read, with the items that are shared. */
  readonly lists: ReadonlyMap<OfferList, ListRead>;
  /** To be called once, when it is not used any more. */
  release(): void;
}

/** All Offers in use: equal ones are one object, and so are their equal lists. */
export class OfferShelf {
  readonly #lists = new SharedValues<readonly JsonObject[]>();
  readonly #offers = new SharedValues<Offer>();

  /** UTF-16 code units of JSON that are held. */
  get size(): number {
    return this.#lists.size + this.#offers.size;
  }

  hold({ upstream, era, facts, problem, lists: read }: OfferParts): HeldOffer {
    const place = `${upstream.id} ${upstream.revision}`;
    const lists = new Map(LIST_KINDS.map(({ field }) => [field, this.#share(place, read.get(field) ?? NO_ITEMS)]));
    const keys = [...lists.values()].map(({ hash }) => listKey(place, hash));
    const text = JSON.stringify(facts);
    const digest = createHash('sha256')
      .update(text)
      .update(JSON.stringify(problem ?? null))
      .digest('base64url');
    const key = `${place} ${era} ${digest} ${keys.join(' ')}`;
    const itemsOf = (field: OfferList) => lists.get(field)?.items ?? NO_ITEMS.items;
    const shared = {
      tools: itemsOf('tools'),
      prompts: itemsOf('prompts'),
      resources: itemsOf('resources'),
      resourceTemplates: itemsOf('resourceTemplates'),
    };
    const offer = this.#offers.take(key, { upstream, era, ...facts, ...shared, problem }, text.length);
    return { offer, lists, release: this.#releaseOf(key, keys) };
  }

  /** The list with the items that are shared: nothing of what was read is kept where there is an equal one. */
  #share(place: string, list: ListRead): ListRead {
    return { ...list, items: this.#lists.take(listKey(place, list.hash), list.items, list.size) };
  }

  /** Made apart from `hold`: a function that is made there keeps, as long as it is kept, all that the others made there see. */
  #releaseOf(key: string, listKeys: readonly string[]): () => void {
    return () => {
      this.#offers.release(key);
      for (const each of listKeys) {
        this.#lists.release(each);
      }
    };
  }
}

function listKey(place: string, hash: string): string {
  return `${place} ${hash}`;
}

/** The names of the lists in which two Offers differ. */
export function differences(one: Offer, other: Offer): readonly ListName[] {
  return LIST_KINDS.filter(({ field }) => one[field] !== other[field]).map(({ name }) => name);
}

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

  hold(parts: OfferParts): HeldOffer {
    const { upstream, era, facts, problem } = parts;
    const place = `${upstream.id} ${upstream.revision}`;
    const keys: string[] = [];
    const lists = new Map<OfferList, ListRead>();
    const share = (field: OfferList): readonly JsonObject[] => {
      const list = parts.lists.get(field) ?? NO_ITEMS;
      const key = `${place} ${list.hash}`;
      const items = this.#lists.take(key, list.items, list.size);
      keys.push(key);
      lists.set(field, { ...list, items });
      return items;
    };
    const shared = {
      tools: share('tools'),
      prompts: share('prompts'),
      resources: share('resources'),
      resourceTemplates: share('resourceTemplates'),
    };
    const text = JSON.stringify(facts);
    const digest = createHash('sha256')
      .update(text)
      .update(JSON.stringify(problem ?? null))
      .digest('base64url');
    const key = `${place} ${era} ${digest} ${keys.join(' ')}`;
    const offer = this.#offers.take(key, { upstream, era, ...facts, ...shared, problem }, text.length);
    const release = () => {
      this.#offers.release(key);
      for (const listKey of keys) {
        this.#lists.release(listKey);
      }
    };
    return { offer, lists, release };
  }
}

/** The names of the lists in which two Offers differ. */
export function differences(one: Offer, other: Offer): readonly ListName[] {
  return LIST_KINDS.filter(({ field }) => one[field] !== other[field]).map(({ name }) => name);
}

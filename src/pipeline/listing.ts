import type { Effect } from '../domain/decision.ts';
import type { Policy } from '../domain/policy.ts';
import type { Principal } from '../domain/principal.ts';
import { mayEverAllow } from '../policy/decide.ts';
import type { PolicyCall } from '../policy/policy-call.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import type { PolicySets } from './policy-sets.ts';

/** What a call of a listed thing would be: where it goes, by which method, and for what. */
export type ListedCall = Pick<PolicyCall, 'upstream' | 'method' | 'tool'>;

/** Leaves out of lists what a principal could never call, get or read. */
export interface Listing {
  /**
   * The items of a list, which must not change, whose call could be allowed with some arguments at some time. Answers with `items` itself
   * when that is all of them, and with the same array for the same choice among them, so that what is made of a list can be kept by it.
   */
  visible<Item extends object>(
    principal: Principal,
    items: readonly Item[],
    callOf: (item: Item) => ListedCall,
  ): readonly Item[];
}

export interface ListingDeps {
  readonly config: Pick<HotConfig, 'getProject' | 'getPolicies'>;
  readonly policies: PolicySets;
}

/** What a principal sees of a list, and what that depended on. */
interface Sight {
  readonly policies: readonly Policy[];
  readonly defaultEffect: Effect;
  readonly items: readonly object[];
}

interface ListMemo {
  readonly byPrincipal: WeakMap<Principal, Sight>;
  /** By which items are left out. */
  readonly choices: Map<string, WeakRef<readonly object[]>>;
}

/** Choices of one list that are remembered; a list outlives many changes of policies. */
const MAX_CHOICES = 100;

/** Makes it; a list that a principal has seen costs nothing until policies change. */
export function createListing({ config, policies }: ListingDeps): Listing {
  const memos = new WeakMap<readonly object[], ListMemo>();
  return {
    visible<Item extends object>(
      principal: Principal,
      items: readonly Item[],
      callOf: (item: Item) => ListedCall,
    ): readonly Item[] {
      const { projectId } = principal;
      const current = config.getPolicies(projectId);
      const { defaultEffect } = config.getProject(projectId);
      const memo = memos.get(items) ?? { byPrincipal: new WeakMap(), choices: new Map() };
      memos.set(items, memo);
      const known = memo.byPrincipal.get(principal);
      if (known?.policies === current && known.defaultEffect === defaultEffect) {
        // It was made of these items.
        return known.items as readonly Item[];
      }
      const set = policies.of(projectId);
      const isVisible = (item: Item) => {
        const call = { ...callOf(item), principal, arguments: undefined, session: undefined };
        return mayEverAllow(set.match(call), call, defaultEffect);
      };
      const seen = choose(memo, items, isVisible);
      memo.byPrincipal.set(principal, { policies: current, defaultEffect, items: seen });
      return seen;
    },
  };
}

/** The items that are visible, as the array that stands for this choice. */
function choose<Item extends object>(
  { choices }: ListMemo,
  items: readonly Item[],
  isVisible: (item: Item) => boolean,
): readonly Item[] {
  const seen: Item[] = [];
  const hidden: number[] = [];
  for (const [index, item] of items.entries()) {
    if (isVisible(item)) {
      seen.push(item);
    } else {
      hidden.push(index);
    }
  }
  if (hidden.length === 0) {
    return items;
  }
  const key = hidden.join();
  // It was made of these items.
  const known = choices.get(key)?.deref() as readonly Item[] | undefined;
  if (known !== undefined) {
    return known;
  }
  if (choices.size >= MAX_CHOICES) {
    choices.clear();
  }
  choices.set(key, new WeakRef(seen));
  return seen;
}

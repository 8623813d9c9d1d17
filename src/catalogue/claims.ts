import { addressOf } from '../domain/target.ts';
import type { CompositionProblem, Member } from './composition.ts';

/** Something of an upstream that wants a name among those of all upstreams. */
export interface Claim {
  /** The exposed name. */
  readonly name: string;
  readonly member: Member;
}

/** Who got which name. */
export interface Settlement<Item> {
  readonly byName: ReadonlyMap<string, Item>;
  /** Names that several want and none gets, with the addresses of their upstreams. */
  readonly clashes: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly CompositionProblem[];
}

/**
 * Gives each name to the one that claims it, in the order of the claims. A name that is claimed for different things is given to none,
 * because a call could go to the wrong one; the same thing claimed twice counts once.
 */
export function settleClaims<Item extends Claim>(
  noun: 'tool' | 'prompt',
  claims: Iterable<Item>,
  isSame: (one: Item, other: Item) => boolean,
): Settlement<Item> {
  const byName = new Map<string, Item>();
  const clashing = new Map<string, Set<string>>();
  for (const claim of claims) {
    const first = byName.get(claim.name);
    if (first === undefined) {
      byName.set(claim.name, claim);
    } else if (first.member !== claim.member || !isSame(first, claim)) {
      const addresses = clashing.get(claim.name) ?? new Set([addressOf(first.member.upstream)]);
      clashing.set(claim.name, addresses.add(addressOf(claim.member.upstream)));
    }
  }
  for (const name of clashing.keys()) {
    byName.delete(name);
  }
  const clashes = new Map([...clashing].map(([name, addresses]) => [name, [...addresses]]));
  return { byName, clashes, problems: [...clashes].flatMap(([name, addresses]) => problemsOf(noun, name, addresses)) };
}

function problemsOf(noun: string, name: string, addresses: readonly string[]): CompositionProblem[] {
  const message = clashMessage(noun, name, addresses);
  return addresses.map((upstream) => ({ upstream, name, message }));
}

function clashMessage(noun: string, name: string, addresses: readonly string[]): string {
  const [only, ...others] = addresses.map((address) => `'${address}'`);
  return others.length === 0
    ? `Several ${noun}s of the upstream ${only} have the name '${name}', so none of them is offered. Rename them apart.`
    : `The upstreams ${[only, ...others.slice(0, -1)].join(', ')} and ${others.at(-1)} have a ${noun} of the name '${name}', so none of them is offered. Set a name_prefix that tells them apart.`;
}

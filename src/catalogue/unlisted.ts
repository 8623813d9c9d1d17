import type { OfferingMember } from './composition.ts';

/** The upstream that a name which nobody lists must belong to, and the name there as far as the prefix tells. */
export interface Unlisted {
  readonly member: OfferingMember;
  /** Behind the prefix. */
  readonly rest: string;
}

/**
 * Where a name that is not listed could only belong: the one upstream of which not all is known, among those whose prefix it has or, if it
 * has none of the prefixes, among those without one.
 */
export function findUnlisted(members: readonly OfferingMember[], name: string): Unlisted | undefined {
  const fitting = members.filter(({ prefix }) => prefix !== '' && name.startsWith(prefix) && name !== prefix);
  const possible = fitting.length > 0 ? fitting : members.filter(({ prefix }) => prefix === '');
  const [member, ...others] = possible.filter(({ offer }) => offer.problem !== undefined);
  return member === undefined || others.length > 0 ? undefined : { member, rest: name.slice(member.prefix.length) };
}

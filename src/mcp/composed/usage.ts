import type { Seating } from '../../catalogue/seats.ts';
import type { Target } from '../../domain/target.ts';
import type { CallDeps } from '../../pipeline/call.ts';

/** Counts a request that is answered from what all upstreams of a target offer. */
export function countMembers(
  { call, seating }: { readonly call: Pick<CallDeps, 'usage'>; readonly seating: Pick<Seating, 'seatsOf'> },
  target: Target,
): void {
  for (const { upstream } of seating.seatsOf(target).members) {
    call.usage.countRequest(upstream.id);
  }
}

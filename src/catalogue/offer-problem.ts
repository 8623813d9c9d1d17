import { GatewayError } from '../domain/errors.ts';
import { UpstreamRpcError } from '../upstream/rpc-error.ts';
import type { OfferProblem } from './offer.ts';

/** What is kept of an upstream's own words. */
const MAX_WORDS = 200;

/** Why what an upstream offers could not be learned; errors of the gateway itself are told in general terms. */
export function problemOf(slug: string, error: unknown): OfferProblem {
  if (error instanceof UpstreamRpcError) {
    const words = error.message.slice(0, MAX_WORDS);
    return { reason: 'invalid', message: `The upstream "${slug}" answered with the error ${error.code}: ${words}` };
  }
  if (!(error instanceof GatewayError)) {
    return {
      reason: 'unreachable',
      message: `The upstream "${slug}" could not be asked; the gateway's log tells why.`,
    };
  }
  if (error.reason === 'canceled') {
    return notInTime(slug);
  }
  return { reason: error.reason === 'upstream_timeout' ? 'timeout' : 'unreachable', message: error.message };
}

/** Callers go on without it; what it says later is told to them as a change. */
export function notInTime(slug: string): OfferProblem {
  return { reason: 'timeout', message: `The upstream "${slug}" has not said yet what it offers.` };
}

export function tooLarge(slug: string, method: string): OfferProblem {
  const message = `The upstream "${slug}" answers ${method} with more than the gateway holds; the rest is left out.`;
  return { reason: 'too_large', message };
}

export function unreadable(slug: string, method: string): OfferProblem {
  return { reason: 'invalid', message: `The upstream "${slug}" answers ${method} with something that is not a list.` };
}

export function replaced(slug: string): OfferProblem {
  return { reason: 'unreachable', message: `The upstream "${slug}" was changed or removed meanwhile.` };
}

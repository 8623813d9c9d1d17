import { type EraBook, type Eras, pickEra } from '../upstream/era.ts';
import type { UpstreamPost } from './exchange.ts';

/**
 * True when the upstream speaks the client's era, so that this message can pass as it is; the upstream is asked when that is not known.
 * A session stays what it was made as.
 *
 * @throws GatewayError when the upstream has to be asked and cannot be reached
 */
export function isSameEra(eras: Pick<EraBook, 'erasOf' | 'probe'>, post: UpstreamPost): boolean | Promise<boolean> {
  const { era, session, upstream, message } = post;
  if (session !== undefined) {
    return session.bridged !== true;
  }
  const known = eras.erasOf(upstream);
  // A legacy client without a session can only pass: it is decided before anything is asked of the upstream.
  const isKnown =
    known.modern !== undefined || (era === 'legacy' && (known.legacy === true || message.method !== 'initialize'));
  const suits = (answered: Eras) => pickEra(answered, era) === era;
  return isKnown ? suits(known) : eras.probe(upstream).then(suits);
}

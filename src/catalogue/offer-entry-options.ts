import type { Era, Upstream } from '../domain/upstream.ts';
import type { Eras } from '../upstream/era.ts';
import type { LineDeps } from './line.ts';
import type { ListName } from './list-kinds.ts';
import type { OfferProblem, Viewer } from './offer.ts';
import type { OfferSettings } from './offer-settings.ts';
import type { OfferShelf } from './offer-shelf.ts';

/** What an OfferEntry works with, and whom it tells. */
export interface OfferEntryOptions {
  readonly upstream: Upstream;
  readonly viewer: Viewer;
  /** The same for viewers who share a conversation with the upstream. */
  readonly sessionId: string;
  readonly line: LineDeps;
  readonly shelf: OfferShelf;
  readonly settings: OfferSettings;
  readonly now: () => number;
  /** The upstream is spoken to in this era from now on. */
  readonly onReached: (eras: Eras, era: Era) => void;
  /** It was read to the end. */
  readonly onRead: () => void;
  /** It could not be read, for this error, or not in time. */
  readonly onTrouble: (problem: OfferProblem, error?: unknown) => void;
  /** It could not be read, and is not tried again before somebody asks. */
  readonly onLapse: () => void;
  /** Viewers who were told what it offers must hear that lists are others now. */
  readonly onChange: (lists: readonly ListName[]) => void;
}

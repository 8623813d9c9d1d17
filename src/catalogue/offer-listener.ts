import type { JsonObject } from '../domain/json.ts';
import type { Line } from './line.ts';
import type { OfferSettings } from './offer-settings.ts';
import { type OfferWatch, type OfferWatchOptions, watchLists } from './offer-watch.ts';
import { Pacer } from './pacer.ts';

export interface OfferListenerOptions extends Pick<OfferWatchOptions, 'now' | 'onChange'> {
  readonly settings: OfferSettings;
  /** False when nobody asked for long. */
  readonly isUsed: () => boolean;
  /** Changes may have been missed. */
  readonly onMissed: () => void;
  /** It is time to listen again, for which the upstream is to be read. */
  readonly onGap: () => void;
}

/** Listens to an upstream as long as its offer is used; where the watch is lost there is a new one, after growing pauses. */
export class OfferListener {
  readonly #options: OfferListenerOptions;
  readonly #again: Pacer;
  #watch: OfferWatch | undefined;
  /** What the upstream is and can, with which the watch was made. */
  #subject = '';

  constructor(options: OfferListenerOptions) {
    this.#options = options;
    this.#again = new Pacer(options.settings.retryMs, options.settings.longestRetryMs);
  }

  /** Since when every change of a list is heard; undefined = not every one is. */
  get hearingSince(): number | undefined {
    return this.#watch?.hearingSince;
  }

  /** Begins to listen, unless that goes on already. */
  listen(line: Line, capabilities: JsonObject): void {
    const { now, isUsed, onChange, onGap } = this.#options;
    const subject = `${line.era} ${JSON.stringify(capabilities)}`;
    if (subject !== this.#subject) {
      this.rest();
    }
    if (this.#watch !== undefined || this.#again.isWaiting || !isUsed()) {
      return;
    }
    const onOver = (hearingSince: number | undefined) => this.#watch === watch && this.#over(hearingSince);
    const watch = watchLists({ line, capabilities, now, onChange, onGap, onOver });
    this.#watch = watch;
    this.#subject = subject;
  }

  /** Ends the watch; there may be a new one. */
  rest(): void {
    this.#watch?.end();
    this.#watch = undefined;
  }

  /** Ends the watch for good. */
  close(): void {
    this.rest();
    this.#again.reset();
  }

  #over(hearingSince: number | undefined): void {
    const { now, settings, isUsed, onMissed, onGap } = this.#options;
    this.#watch = undefined;
    if (hearingSince === undefined) {
      // It agreed to nothing, or its connection made room; either may be otherwise when it is asked again.
      this.#again.failed(() => {}, settings.heardMs);
      return;
    }
    onMissed();
    if (now() - hearingSince > settings.longestRetryMs) {
      this.#again.reset();
    }
    this.#again.failed(() => isUsed() && onGap());
  }
}

import { GatewayError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Era } from '../domain/upstream.ts';
import { Announcer } from './announcer.ts';
import { type FetchedOffer, fetchOffer, NO_FACTS, type OfferFacts } from './fetch-offer.ts';
import { type Line, openLine } from './line.ts';
import { changedList, LIST_NAMES, type ListName, type OfferList } from './list-kinds.ts';
import type { Offer, OfferProblem } from './offer.ts';
import type { OfferEntryOptions } from './offer-entry-options.ts';
import { OfferListener } from './offer-listener.ts';
import { notInTime, problemOf, replaced } from './offer-problem.ts';
import { lifetimeOf } from './offer-settings.ts';
import { differences, type HeldOffer } from './offer-shelf.ts';
import { Pacer } from './pacer.ts';
import type { ListRead } from './read-list.ts';
import { within } from './within.ts';

/** What is noted when a reading begins. */
interface Reading {
  readonly changes: number;
  readonly names: ReadonlySet<ListName>;
  readonly told: ReadonlySet<ListName>;
}

const EVERY_LIST: ReadonlySet<ListName> = new Set(LIST_NAMES);

/** What one upstream offers to viewers who are alike: read when it is needed, and kept true as long as it is used. */
export class OfferEntry {
  readonly #options: OfferEntryOptions;
  readonly #announcer: Announcer;
  readonly #closed = new AbortController();
  /** Readings after one that failed. */
  readonly #retries: Pacer;
  readonly #listener: OfferListener;
  #era: Era;
  #facts = NO_FACTS;
  #lists: ReadonlyMap<OfferList, ListRead> = new Map();
  #held: HeldOffer | undefined;
  /** Counts what made the lists untrue. */
  #changes = 1;
  /** Up to which change they were read again. */
  #read = 0;
  #untrue = new Set<ListName>(EVERY_LIST);
  /** Lists whose change was reported before they were read. */
  #told = new Set<ListName>();
  #reading: Promise<void> | undefined;
  /** The reading that is on was not waited for to its end. */
  #isOverdue = false;
  #readTime = Number.NEGATIVE_INFINITY;
  #ttlMs: number | undefined;
  #lastUse: number;

  constructor(options: OfferEntryOptions) {
    const { settings, viewer, now } = options;
    this.#options = options;
    this.#era = viewer.era;
    this.#lastUse = now();
    this.#announcer = new Announcer(settings.announceMs, options.onChange);
    this.#retries = new Pacer(settings.retryMs, settings.longestRetryMs);
    this.#listener = new OfferListener({
      settings,
      now,
      isUsed: () => !this.#isUnused() && !this.#closed.signal.aborted,
      onChange: (name) => this.#hear(name),
      onMissed: () => this.#distrust(),
      onGap: () => this.#onGap(),
    });
  }

  get lastUse(): number {
    return this.#lastUse;
  }

  /** What is known, without asking. */
  get known(): Offer | undefined {
    return this.#held?.offer;
  }

  /** True until it was read once. */
  get isNew(): boolean {
    return this.#read === 0;
  }

  touch(): void {
    this.#lastUse = this.#options.now();
  }

  /** What may be served at once; undefined when it must be waited for. Begins a reading where there is need of one. */
  ready(): Offer | undefined {
    this.touch();
    if (this.#retries.hasFailed || this.#isOverdue) {
      return this.known;
    }
    if (this.#read < this.#changes) {
      void this.#refresh();
      return undefined;
    }
    if (this.#isOld()) {
      void this.#refresh();
    }
    return this.known;
  }

  /** What may be served after waiting at most this long; `trouble` = why the upstream cannot be hoped for. */
  async offer(longestMs: number, trouble: OfferProblem | undefined): Promise<Offer> {
    const ready = this.ready();
    if (ready !== undefined) {
      return ready;
    }
    const { upstream, onTrouble } = this.#options;
    const isDone = await within(this.#catchUp(this.#changes), longestMs);
    if (!isDone && !this.#isOverdue) {
      const problem = trouble ?? notInTime(upstream.slug);
      this.#isOverdue = true;
      this.#show(problem);
      onTrouble(problem);
    }
    return this.known ?? this.#show(replaced(upstream.slug));
  }

  /** Stops listening where nobody asked for long. */
  rest(): void {
    if (this.#isUnused()) {
      this.#listener.rest();
    }
  }

  close(): void {
    this.#closed.abort();
    this.#announcer.end();
    this.#retries.reset();
    this.#listener.close();
    this.#held?.release();
  }

  /** Resolves when everything was read after this change, or it is known that this will take long. */
  async #catchUp(change: number): Promise<void> {
    while (this.#read < change && !this.#retries.hasFailed && !this.#closed.signal.aborted) {
      await this.#refresh();
    }
  }

  #refresh(): Promise<void> {
    this.#reading ??= this.#readAgain().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readAgain(): Promise<void> {
    const { settings, now } = this.#options;
    const pauseMs = this.#readTime + settings.refetchMs - now();
    if (pauseMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    const names = this.#isHearing() && this.#untrue.size > 0 ? this.#untrue : EVERY_LIST;
    this.#readTime = now();
    const reading: Reading = { changes: this.#changes, names, told: this.#told };
    this.#untrue = new Set();
    this.#told = new Set();
    try {
      const fetched = await this.#ask(names);
      this.#accept(fetched, reading);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #ask(names: ReadonlySet<ListName>): Promise<FetchedOffer> {
    const { line: deps, upstream, viewer, sessionId, settings, onReached } = this.#options;
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(settings.fetchMs)]);
    const line = await openLine(deps, { upstream, viewer, sessionId, signal });
    onReached(line.eras, line.era);
    const onMessage = (message: JsonObject) => this.#hear(changedList(message));
    const onFacts = (facts: OfferFacts) => this.#onFacts(line, facts);
    return fetchOffer({ line, slug: upstream.slug, names, signal, onMessage, onFacts });
  }

  #accept(fetched: FetchedOffer, reading: Reading): void {
    if (this.#closed.signal.aborted) {
      return;
    }
    const before = this.known;
    this.#ttlMs = fetched.ttlMs;
    this.#lists = new Map([...this.#lists, ...fetched.lists]);
    if (fetched.failure === undefined) {
      this.#isOverdue = false;
      this.#read = reading.changes;
      this.#retries.reset();
      this.#show(fetched.problem);
      this.#options.onRead();
    } else {
      this.#fail(fetched.failure);
    }
    if (before !== undefined && this.known !== undefined) {
      const changed = differences(before, this.known);
      this.#announcer.announce(changed.filter((name) => !reading.told.has(name) && !this.#told.has(name)));
    }
  }

  #fail(error: unknown): void {
    if (this.#closed.signal.aborted) {
      return;
    }
    const { upstream, settings, onTrouble } = this.#options;
    const problem = problemOf(upstream.slug, error);
    this.#isOverdue = false;
    this.#untrue = new Set(EVERY_LIST);
    this.#show(problem);
    const retryAfterMs = error instanceof GatewayError ? (error.retryAfterMs ?? 0) : 0;
    this.#retries.failed(() => this.#retry(), Math.min(retryAfterMs, settings.longestRetryMs));
    onTrouble(problem, error);
  }

  #retry(): void {
    if (this.#isUnused()) {
      // Whoever asks next begins anew.
      this.#retries.reset();
      this.#distrust();
      this.#options.onLapse();
    } else {
      void this.#refresh();
    }
  }

  /** Listens from before the lists are read, so that no change falls between. */
  #onFacts(line: Line, facts: OfferFacts): void {
    this.#era = line.era;
    this.#facts = facts;
    this.#listener.listen(line, facts.capabilities);
  }

  #hear(name: ListName | undefined): void {
    if (name !== undefined) {
      this.#changes++;
      this.#untrue.add(name);
      this.#told.add(name);
      this.#announcer.announce([name]);
    }
  }

  /** Changes may have been missed; whether there were any is found out before anybody is told. */
  #onGap(): void {
    this.#distrust();
    if (!this.#retries.hasFailed) {
      void this.#refresh();
    }
  }

  #distrust(): void {
    this.#changes++;
    this.#untrue = new Set(EVERY_LIST);
  }

  #show(problem: OfferProblem | undefined): Offer {
    const { upstream, shelf } = this.#options;
    const held = shelf.hold({ upstream, era: this.#era, facts: this.#facts, lists: this.#lists, problem });
    if (this.#closed.signal.aborted) {
      held.release();
      return held.offer;
    }
    this.#held?.release();
    this.#held = held;
    this.#lists = held.lists;
    return held.offer;
  }

  /** True when every change since the last reading was heard. */
  #isHearing(): boolean {
    const since = this.#listener.hearingSince;
    return since !== undefined && since <= this.#readTime;
  }

  #isOld(): boolean {
    const { settings, now } = this.#options;
    return now() - this.#readTime > lifetimeOf(settings, this.#isHearing(), this.#ttlMs);
  }

  #isUnused(): boolean {
    const { settings, now } = this.#options;
    return now() - this.#lastUse > settings.usedMs;
  }
}

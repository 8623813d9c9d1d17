import type { PrincipalId } from '../domain/ids.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import { sharingOf } from '../upstream/channel-key.ts';
import { type EraBook, type Eras, pickEra } from '../upstream/era.ts';
import { LIST_NAMES, type ListName } from './list-kinds.ts';
import type { OfferProblem, Viewer } from './offer.ts';
import { OfferEntry } from './offer-entry.ts';
import type { OfferEntryOptions } from './offer-entry-options.ts';
import type { CapabilityKeys } from './viewer-key.ts';

export interface UpstreamOffersOptions
  extends Pick<OfferEntryOptions, 'upstream' | 'line' | 'shelf' | 'settings' | 'now'> {
  readonly eras: Pick<EraBook, 'erasOf'>;
  readonly capabilityKeys: CapabilityKeys;
  /** There is one more entry, or one holds something else. */
  readonly onGrowth: () => void;
  readonly onRead: () => void;
  readonly onTrouble: OfferEntryOptions['onTrouble'];
  readonly onChange: (principalId: PrincipalId, lists: readonly ListName[]) => void;
}

interface Kept {
  readonly entry: OfferEntry;
  readonly principalId: PrincipalId;
}

/** What one revision of an upstream offers, by who asks. */
export class UpstreamOffers {
  readonly upstream: Upstream;
  readonly #options: UpstreamOffersOptions;
  readonly #kept = new Map<string, Kept>();
  /** What the upstream said last that it speaks. */
  #eras: Eras | undefined;
  #trouble: OfferProblem | undefined;

  constructor(options: UpstreamOffersOptions) {
    this.upstream = options.upstream;
    this.#options = options;
  }

  /** Why the upstream cannot be hoped for now. */
  get trouble(): OfferProblem | undefined {
    return this.#trouble;
  }

  get size(): number {
    return this.#kept.size;
  }

  find(viewer: Viewer): OfferEntry | undefined {
    return this.#kept.get(this.#keyOf(viewer))?.entry;
  }

  /** The entry of the viewer, made if there is none. */
  entryOf(viewer: Viewer): OfferEntry {
    const key = this.#keyOf(viewer);
    return this.#kept.get(key)?.entry ?? this.#create(viewer, key);
  }

  /** All entries, each with what gives it up. */
  *entries(): Iterable<{ readonly entry: OfferEntry; remove(): void }> {
    for (const [key, { entry }] of this.#kept) {
      const remove = () => {
        this.#kept.delete(key);
        entry.close();
      };
      yield { entry, remove };
    }
  }

  /** Gives up all entries; whoever was offered something is told. */
  close(): void {
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    for (const { entry } of kept) {
      entry.close();
    }
    for (const principalId of new Set(kept.map((each) => each.principalId))) {
      this.#options.onChange(principalId, LIST_NAMES);
    }
  }

  #create(viewer: Viewer, key: string): OfferEntry {
    const { capabilityKeys, onGrowth, onRead, onTrouble, onChange, ...shared } = this.#options;
    const principalId = viewer.principal.id;
    const entry = new OfferEntry({
      ...shared,
      viewer,
      sessionId: `catalogue ${principalId} ${capabilityKeys.of(viewer)}`,
      onReached: (eras, era) => {
        this.#eras = eras;
        this.#move(entry, this.#keyIn(era, viewer));
      },
      onRead: () => {
        this.#trouble = undefined;
        onRead();
        onGrowth();
      },
      onLapse: () => {
        this.#trouble = undefined;
      },
      onTrouble: (problem, error) => {
        this.#trouble = problem;
        onTrouble(problem, error);
      },
      onChange: (lists) => onChange(principalId, lists),
    });
    this.#makeRoom(principalId);
    this.#kept.set(key, { entry, principalId });
    onGrowth();
    return entry;
  }

  /** Gives up what a principal has not used for longest, where it has as much as it may. */
  #makeRoom(principalId: PrincipalId): void {
    const own = [...this.#kept].filter(([, kept]) => kept.principalId === principalId);
    if (own.length < this.#options.settings.maxOfPrincipal) {
      return;
    }
    const [key, { entry }] = own.reduce((oldest, one) =>
      one[1].entry.lastUse < oldest[1].entry.lastUse ? one : oldest,
    );
    this.#kept.delete(key);
    entry.close();
  }

  /** Its era was found out, or is another one now. Where there is an entry already, that one serves from now on. */
  #move(entry: OfferEntry, key: string): void {
    if (this.#kept.has(key)) {
      return;
    }
    for (const [oldKey, kept] of this.#kept) {
      if (kept.entry === entry) {
        this.#kept.delete(oldKey);
        this.#kept.set(key, kept);
        return;
      }
    }
  }

  #keyOf(viewer: Viewer): string {
    const current = this.#options.eras.erasOf(this.upstream);
    const eras = current.modern === undefined ? this.#eras : current;
    return eras === undefined
      ? `unknown ${viewer.era} ${this.#nameOf(viewer)}`
      : this.#keyIn(pickEra(eras, viewer.era), viewer);
  }

  /** To a connection that all share nobody declares anything. */
  #keyIn(era: Era, viewer: Viewer): string {
    return era === 'legacy' && sharingOf(this.upstream) === 'per_upstream'
      ? `${era} ${viewer.principal.id}`
      : `${era} ${this.#nameOf(viewer)}`;
  }

  #nameOf(viewer: Viewer): string {
    return `${viewer.principal.id} ${this.#options.capabilityKeys.of(viewer)}`;
  }
}

import { vi } from 'vitest';
import type { Viewer } from '../../src/catalogue/offer.ts';
import type { OfferSettings } from '../../src/catalogue/offer-settings.ts';
import { createOffers, type OfferChange } from '../../src/catalogue/offers.ts';
import type { PrincipalId, ProjectId } from '../../src/domain/ids.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Principal } from '../../src/domain/principal.ts';
import type { Era } from '../../src/domain/upstream.ts';
import { createEraBook } from '../../src/upstream/era.ts';
import { createUpstreamHealth } from '../../src/upstream/health.ts';
import { channelsOf } from '../upstream/channel-clients.ts';
import { httpClientOf } from '../upstream/http-clients.ts';

/** Offers over real connections; the clock stands still unless a test moves it. */
export function offersOf(settings: Partial<OfferSettings> = {}) {
  const { client, close: closeHttp } = httpClientOf();
  const { channels, openConnection, close } = channelsOf(client);
  const eras = createEraBook({ client, openConnection });
  const health = createUpstreamHealth();
  const clock = { now: 1_000_000 };
  const errors: unknown[] = [];
  const changes: OfferChange[] = [];
  const offers = createOffers({
    channels,
    eras,
    health,
    now: () => clock.now,
    onError: (error) => errors.push(error),
    settings: { retryMs: 50, longestRetryMs: 200, ...settings },
  });
  offers.onChange((change) => changes.push(change));
  return {
    offers,
    channels,
    eras,
    health,
    clock,
    errors,
    /** Every change that was told, oldest first. */
    changes,
    async close() {
      offers.close();
      await close();
      await closeHttp();
    },
  };
}

export function principal(id: string): Principal {
  return {
    kind: 'user',
    id: id as PrincipalId,
    projectId: 'project-1' as ProjectId,
    name: id,
    scopes: new Set(['tools:call'] as const),
    grants: 'all',
    teams: [],
  };
}

/** Somebody who looks, as a client of that era with those capabilities. */
export function viewerOf(id: string, era: Era = 'legacy', capabilities: JsonObject = {}): Viewer {
  return { principal: principal(id), era, capabilities };
}

/** The names in a list. */
export function names(items: readonly JsonObject[]): unknown[] {
  return items.map((item) => item['name'] ?? item['uri'] ?? item['uriTemplate']);
}

/** Resolves when it is so; the test's own time limit ends the wait. */
export async function until(isSo: () => boolean): Promise<void> {
  await vi.waitUntil(isSo, { timeout: 20_000, interval: 5 });
}

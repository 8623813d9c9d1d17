import type { Member } from '../../catalogue/composition.ts';

/** A resource whose changes a client wants to hear of. */
export interface WatchedResource {
  /** As the client wrote it. */
  readonly uri: string;
  readonly member: Member;
  /** As the upstream knows it. */
  readonly upstreamUri: string;
}

/**
 * What an upstream's `notifications/resources/updated` means to a client that watches these: the URI in the client's words, also of a part
 * of what is watched; undefined = it is about none of them.
 */
export function findUpdated(watched: Iterable<WatchedResource>, updatedUri: string): string | undefined {
  for (const { uri, upstreamUri } of watched) {
    if (updatedUri === upstreamUri) {
      return uri;
    }
    if (isPart(updatedUri, upstreamUri)) {
      // What stands before an exposed URI is the upstream's slug, so it stands before its parts as well.
      return uri.endsWith(upstreamUri) ? uri.slice(0, -upstreamUri.length) + updatedUri : updatedUri;
    }
  }
  return undefined;
}

function isPart(uri: string, whole: string): boolean {
  return uri.startsWith(whole) && (/[/?#]$/.test(whole) || /^[/?#]/.test(uri.slice(whole.length)));
}

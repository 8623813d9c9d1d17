import { createHash } from 'node:crypto';
import type { JsonObject } from '../domain/json.ts';
import { sorted } from '../upstream/channel-key.ts';
import type { Viewer } from './offer.ts';

/** Tells viewers apart by what they declared that they can do. */
export interface CapabilityKeys {
  /** The same text for equal capabilities, whatever the order of their keys; short. */
  of(viewer: Viewer): string;
}

/** Longest text that is a key as it is. */
const MAX_KEY = 100;
/** Different texts that are remembered. */
const MAX_TEXTS = 1000;

/** Makes the keys; what was asked for before costs little. */
export function createCapabilityKeys(): CapabilityKeys {
  const byObject = new WeakMap<JsonObject, string>();
  const byText = new Map<string, string>();

  function add(text: string, capabilities: JsonObject): string {
    const key = keyOf(capabilities);
    if (byText.size >= MAX_TEXTS) {
      byText.clear();
    }
    byText.set(text, key);
    return key;
  }

  return {
    of({ era, capabilities }) {
      // Modern clients declare theirs with each request, so theirs are never the same object.
      const known = era === 'legacy' ? byObject.get(capabilities) : undefined;
      if (known !== undefined) {
        return known;
      }
      // Clients write theirs in the same order each time: sorting is for the first time.
      const text = JSON.stringify(capabilities);
      const key = byText.get(text) ?? add(text, capabilities);
      if (era === 'legacy') {
        byObject.set(capabilities, key);
      }
      return key;
    },
  };
}

function keyOf(capabilities: JsonObject): string {
  const text = JSON.stringify(sorted(capabilities));
  return text.length <= MAX_KEY ? text : createHash('sha256').update(text).digest('base64url');
}

import type { Unsubscribe } from '../db/bell.ts';

/** Functions that are told of something. */
export interface Listeners<Listener extends (...told: never[]) => void> {
  add(listener: Listener): Unsubscribe;
  tell(...told: Parameters<Listener>): void;
}

/** Nobody yet. */
export function createListeners<Listener extends (...told: never[]) => void>(): Listeners<Listener> {
  const entries = new Set<{ readonly listener: Listener }>();
  return {
    add(listener) {
      const entry = { listener };
      entries.add(entry);
      return () => entries.delete(entry);
    },
    tell(...told) {
      for (const { listener } of entries) listener(...told);
    },
  };
}

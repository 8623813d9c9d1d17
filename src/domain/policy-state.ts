import type { ProjectId } from './ids.ts';

/** Asks for the state that a rule keeps under a key. */
export interface StateRead {
  readonly key: string;
  /** Asks for `pastTime` too: the time of the update that is this many updates back, the last one counting as 1. */
  readonly lag?: number;
}

/** What is kept under a key. */
export interface StateValue {
  readonly value: number;
  /** When it was last written, in Unix milliseconds. */
  readonly time: number;
  /** Time of the update that `lag` asked for; absent when there were fewer, or it is so old that it was dropped. */
  readonly pastTime?: number;
}

/** A change of state, written together with the decision that caused it. */
export interface StateWrite {
  readonly key: string;
  readonly projectId: ProjectId;
  readonly value: number;
  /** Unix milliseconds. */
  readonly time: number;
  /** True = the time of this update is kept until `expireTime`, for reads with `lag`. */
  readonly keepsTime: boolean;
  /** Unix milliseconds after which the state may be dropped: it reads as absent then. */
  readonly expireTime: number;
}

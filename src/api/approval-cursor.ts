import { createCursorCodec, invalidCursor, type WatchScope } from './watch-cursor.ts';

/** What a watch of approvals that lost its place does: an empty cursor begins with all there are. */
const ADVICE = 'Start with an empty cursor, which begins with the approvals that are there now.';

/** Cursors of one watch of approvals; positions are versions of the configuration. */
export interface ApprovalCursors {
  encode(position: number): string;
  /** Throws `cursor_invalid`, also for a position beyond `head`: it was given by a database that has been replaced since. */
  decode(cursor: string, head: number): number;
}

/** Makes the cursors of a watch; an empty one stands for the beginning. */
export function createApprovalCursors(scope: WatchScope): ApprovalCursors {
  const codec = createCursorCodec(['approvals', ...scope], ADVICE);
  return {
    encode: (position) => codec.encode({ tx: 0n, seq: BigInt(position) }),
    decode(cursor, head) {
      const { seq } = cursor === '' ? { seq: 0n } : codec.decode(cursor);
      if (seq > head) {
        throw invalidCursor('other_log', 'The cursor belongs to a database that has been replaced since.', ADVICE);
      }
      return Number(seq);
    },
  };
}

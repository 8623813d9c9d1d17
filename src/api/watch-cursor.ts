import { hash } from 'node:crypto';
import type { LogPosition } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';

/** Everything that chooses what a watch sends; a cursor is only good for the same. */
export type WatchScope = readonly (string | undefined)[];

const VERSION = 1;
const DIGEST_BYTES = 16;
const LENGTH = 1 + 8 + 8 + DIGEST_BYTES;

/**
 * Cursors of one watch: a version, the position and a digest of the scope, in base64url. They are not sealed: a made-up one only names
 * another place in what its bearer may read anyway, and so a cursor outlives keys and credentials.
 */
export interface CursorCodec {
  encode(position: LogPosition): string;
  /** Throws `cursor_invalid`. */
  decode(cursor: string): LogPosition;
}

/** What a watch of decisions that lost its place does. */
const DECISION_ADVICE = 'Start with an empty cursor, and fill the gap with ListDecisions.';

/** Makes the codec of a watch; `advice` is the sentence that tells who comes with a bad cursor what to do. */
export function createCursorCodec(scope: WatchScope, advice = DECISION_ADVICE): CursorCodec {
  const digest = hash('sha256', JSON.stringify(scope.map((part) => part ?? null)), 'buffer').subarray(0, DIGEST_BYTES);
  return {
    encode({ tx, seq }) {
      const bytes = Buffer.alloc(LENGTH);
      bytes.writeUInt8(VERSION, 0);
      bytes.writeBigUInt64BE(tx, 1);
      bytes.writeBigUInt64BE(seq, 9);
      digest.copy(bytes, 17);
      return bytes.toString('base64url');
    },
    decode(cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      if (bytes.length !== LENGTH || bytes.toString('base64url') !== cursor || bytes.readUInt8(0) !== VERSION) {
        throw invalidCursor('malformed', 'The cursor is not one that a watch gave.', advice);
      }
      if (!bytes.subarray(17).equals(digest)) {
        throw invalidCursor('other_filter', 'The cursor belongs to a watch with another filter or project.', advice);
      }
      return { tx: bytes.readBigUInt64BE(1), seq: bytes.readBigUInt64BE(9) };
    },
  };
}

/** Throws `cursor_invalid` for a position beyond the end of the log: it was given by a log that has been replaced since. */
export function checkPosition(position: LogPosition, head: LogPosition): void {
  if (position.tx > head.tx || (position.tx === head.tx && position.seq > head.seq)) {
    const what = 'The cursor belongs to a log of decisions that has been replaced since.';
    throw invalidCursor('other_log', what, DECISION_ADVICE);
  }
}

/** The error for a cursor that can't be used: what is wrong with it, for machines and people, and what to do. */
export function invalidCursor(cause: string, what: string, advice: string): GatewayError {
  return new GatewayError('cursor_invalid', `${what} ${advice}`, { metadata: { cause } });
}

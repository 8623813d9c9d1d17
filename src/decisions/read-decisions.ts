import type { LogStore } from '../db/log-store.ts';
import type { Decision, LogPosition } from '../domain/decision.ts';
import type { ProjectId } from '../domain/ids.ts';
import { fromRow } from './decision-row.ts';

/** Which decisions are read; times are Unix milliseconds, start included, end not. */
export interface DecisionRange {
  readonly projectId: ProjectId;
  readonly startTime: number | undefined;
  readonly endTime: number | undefined;
  readonly signal: AbortSignal;
}

/** The log as far as decisions are read from it. */
export type ReadableLog = Pick<LogStore, 'scan' | 'head'>;

/** Lets reading go on in pieces: when one is over, it rests. */
export interface ReadingPace {
  isOver(): boolean;
  rest(): Promise<void>;
}

/** Rows read by one statement: the event loop waits while the embedded database reads them. */
const PAGE = 250;
/** By so much the times of decisions may disagree with their order in the log: clocks differ, and commits take time. */
const DISORDER_MS = 600_000;

/**
 * The project's decisions in the order of the log, piece by piece; ends early when the signal aborts. The log is
 * asked for places only, never for times, so that no statement has to look through much of it.
 */
export async function* readDecisions(
  log: ReadableLog,
  { projectId, startTime = Number.NEGATIVE_INFINITY, endTime = Number.POSITIVE_INFINITY, signal }: DecisionRange,
  pace: ReadingPace,
): AsyncGenerator<Decision> {
  let after = await findPlaceBefore(log, projectId, startTime - DISORDER_MS);
  let isMore = true;
  while (isMore && !signal.aborted) {
    const rows = await log.scan(projectId, { after, limit: PAGE });
    after = rows.at(-1)?.position;
    isMore = rows.length === PAGE;
    for (const row of rows) {
      if (pace.isOver()) await pace.rest();
      const time = row.decision.create_time;
      if (signal.aborted || time >= endTime + DISORDER_MS) return;
      if (time >= startTime && time < endTime) yield fromRow(row).decision;
    }
  }
}

/** A place that no decision of this time or later comes before; undefined = the log's beginning. */
async function findPlaceBefore(log: ReadableLog, projectId: ProjectId, time: number): Promise<LogPosition | undefined> {
  if (time === Number.NEGATIVE_INFINITY) return undefined;
  const head = await log.head();
  const isOrderedBySeq = head.tx === 0n;
  const placeAt = (at: bigint): LogPosition => (isOrderedBySeq ? { tx: 0n, seq: at } : { tx: at, seq: 0n });
  let low = 0n;
  let high = isOrderedBySeq ? head.seq : head.tx;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    const [next] = await log.scan(projectId, { after: placeAt(middle), limit: 1 });
    if (next === undefined || next.decision.create_time >= time) high = middle;
    else low = middle;
  }
  return low === 0n ? undefined : placeAt(low);
}

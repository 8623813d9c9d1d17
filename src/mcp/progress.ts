import { metaOf } from '../upstream/message.ts';
import type { ClientAnswer } from './client-answer.ts';
import type { ClientMessage } from './json-rpc.ts';

/** How often a waiting call says so. */
const PROGRESS_MS = 5_000;

/**
 * Sends `notifications/progress` while a call waits, if its client asked for them; the result stops it. The progress is that of a
 * countdown, the seconds that are left below zero: it must rise with every notification of one token (basic/utilities/progress), and
 * the upstream, whose own notifications may follow, begins at zero.
 */
export function reportWaiting(answer: ClientAnswer, call: ClientMessage, until: number, message: string): () => void {
  const progressToken = tokenOf(call);
  if (progressToken === undefined) {
    return () => {};
  }
  const report = () => {
    const progress = Math.min(-1, Math.round((Date.now() - until) / 1000));
    const params = { progressToken, progress, message };
    answer.sendEvent(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params }));
  };
  report();
  const timer = setInterval(report, PROGRESS_MS);
  return () => clearInterval(timer);
}

function tokenOf({ params }: ClientMessage): string | number | undefined {
  const token = metaOf(params ?? {})['progressToken'];
  return typeof token === 'string' || typeof token === 'number' ? token : undefined;
}

import type { Approval } from '../domain/approval.ts';
import { isObject } from '../upstream/message.ts';
import type { JsonObject } from './json-rpc.ts';

/** True for client capabilities that allow to ask the user to open a URL; `elicitation: {}` allows forms only (2025-11-25, client/elicitation, Capabilities). */
export function declaresUrlElicitation(capabilities: unknown): boolean {
  return (
    isObject(capabilities) && isObject(capabilities['elicitation']) && isObject(capabilities['elicitation']['url'])
  );
}

/** What a client's user answered to the request to open the approval's page; `accept` only says that the page was opened. */
export type ElicitationAction = 'accept' | 'decline' | 'cancel';

/** The action of an ElicitResult; undefined when it is none. */
export function actionOf(result: unknown): ElicitationAction | undefined {
  const action = isObject(result) ? result['action'] : undefined;
  return action === 'accept' || action === 'decline' || action === 'cancel' ? action : undefined;
}

/** Parameters of `elicitation/create` in URL mode, as both eras have them. */
export function urlElicitation(approval: Approval, url: string): JsonObject {
  const { tool, method, upstreamSlug } = approval;
  const what = tool === '' ? `'${method}'` : `'${tool}'`;
  const message =
    `The call of ${what} at '${upstreamSlug}' waits for a human: ${approval.message} ` +
    `Open the page to see the call; who may approve it can do so there until ${timeText(approval.expireTime)}.`;
  return { mode: 'url', url, message };
}

/** A time for people and machines (RFC 3339). */
export function timeText(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

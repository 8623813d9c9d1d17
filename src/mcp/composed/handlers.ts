import type { ListKind } from '../../catalogue/cursor.ts';
import type { Era } from '../../domain/upstream.ts';
import { isLogLevel } from '../bridge/log-levels.ts';
import type { McpPost } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { callTool, getPrompt, readResource } from './calls.ts';
import { complete } from './completion.ts';
import type { ComposedDeps } from './deps.ts';
import { listen } from './listen.ts';
import { answerList, LIST_METHODS } from './lists.ts';
import { discover, initialize } from './opening.ts';
import type { SessionRequest } from './session-stream.ts';
import { type SessionPost, subscribe, unsubscribe } from './subscribe.ts';
import { countMembers } from './usage.ts';
import { viewerOf } from './viewer.ts';
import { visibleItems } from './visible.ts';

/** Answers one request; `ending` ends a stream that only listens. Rejects with InvalidMessageError or GatewayError for what is to be answered with an error. */
export type Handler = (deps: ComposedDeps, post: McpPost, ending: AbortSignal) => Promise<void>;

/** What answers a method in an era; undefined for one that the era, or the gateway, does not know. */
export function findHandler(method: string, era: Era): Handler | undefined {
  return (era === 'legacy' ? legacyHandlers : modernHandlers).get(method) ?? commonHandlers.get(method);
}

const commonHandlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ...[...LIST_METHODS].map(([method, kind]): [string, Handler] => [method, listHandler(kind)]),
  ['tools/call', callTool],
  ['prompts/get', getPrompt],
  ['resources/read', readResource],
  ['completion/complete', complete],
]);

const legacyHandlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['initialize', async (deps, post) => initialize(deps.sessions, post, await compositionOf(deps, post))],
  ['ping', async (_deps, post) => answerEmpty(post)],
  ['logging/setLevel', setLogLevel],
  ['resources/subscribe', async (deps, post) => subscribe(deps, inSession(post), await compositionOf(deps, post))],
  ['resources/unsubscribe', (deps, post) => unsubscribe(deps, inSession(post))],
]);

const modernHandlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['server/discover', async (deps, post) => discover(post, await compositionOf(deps, post))],
  ['subscriptions/listen', async (deps, post, ending) => listen(deps, post, await compositionOf(deps, post), ending)],
]);

function listHandler(kind: ListKind): Handler {
  return async (deps, post) => {
    const composition = await compositionOf(deps, post);
    answerList(post, kind, composition, visibleItems(deps.listing, post, composition, kind));
  };
}

/** What the target offers now. */
function compositionOf(deps: ComposedDeps, post: McpPost) {
  countMembers(deps, post.target);
  return deps.compositions.of(post.target, viewerOf(post));
}

/** Answers `logging/setLevel` (specification 2025-11-25, server/utilities/logging); upstreams are told with the session's next request. */
async function setLogLevel({ bridge }: ComposedDeps, post: McpPost): Promise<void> {
  const level = post.message.params?.['level'];
  if (!isLogLevel(level)) {
    throw new InvalidMessageError(-32602, `'params.level' must be a log level, such as 'info'`);
  }
  bridge.setLogLevel(post, level);
  answerEmpty(post);
}

function answerEmpty({ message, answer }: McpPost): void {
  answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id: message.id, result: {} }));
}

/** Every legacy request but `initialize` was let in with a session. */
function inSession(post: McpPost): SessionPost {
  return post as McpPost & SessionRequest;
}

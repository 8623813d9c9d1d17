import { GatewayError } from '../domain/errors.ts';
import { isObject, type JsonObject, parseMessages } from '../upstream/message.ts';

/** Changes the result of an answer before the client gets it; returns the same object when nothing changes. */
export type Rewrite = (result: JsonObject) => JsonObject;

/** Largest answer, or event with one, that is held to be rewritten, in bytes. */
export const MAX_REWRITTEN = 16 * 1024 * 1024;

/**
 * The answer as the client gets it, as JSON text; undefined when it stays as it is. Throws `bad_gateway` when it cannot be read: what
 * cannot be rewritten must not pass.
 */
export function rewriteAnswer(slug: string, text: string, rewrite: Rewrite): string | undefined {
  const messages = parseMessages(text);
  if (messages.length === 0) {
    throw unreadable(slug);
  }
  const rewritten = messages.map((message) => rewriteMessage(message, rewrite));
  if (rewritten.every((message, index) => message === messages[index])) {
    return undefined;
  }
  return JSON.stringify(text.trimStart().startsWith('[') ? rewritten : rewritten[0]);
}

/** The same for a parsed message: only answers with a result have something to rewrite. */
export function rewriteMessage(message: JsonObject, rewrite: Rewrite): JsonObject {
  const { method, result } = message;
  if (method !== undefined || !isObject(result)) {
    return message;
  }
  const rewritten = rewrite(result);
  return rewritten === result ? message : { ...message, result: rewritten };
}

/** The error for an answer that is too large to be held. */
export function tooLargeToRewrite(slug: string): GatewayError {
  const message =
    `The upstream "${slug}" answered with more than ${MAX_REWRITTEN / 1024 / 1024} MiB at once, ` +
    'which is too large for the gateway to leave out what the caller may not see.';
  return new GatewayError('bad_gateway', message);
}

function unreadable(slug: string): GatewayError {
  return new GatewayError('bad_gateway', `The upstream "${slug}" sent an answer that is no JSON-RPC message.`);
}

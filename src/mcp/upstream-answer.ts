import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import { isObject, type JsonObject } from '../upstream/message.ts';

/** A client that reads 404 opens a new session (specification 2025-11-25, basic/transports, Session Management). */
export const sessionLost = {
  code: -32600,
  message: `The upstream does not know the session any more: send 'initialize' for a new one.`,
};

/** True for a JSON content type. */
export function isJson(contentType: string): boolean {
  return contentType.startsWith('application/json');
}

/** Statuses with which MCP servers answer; 401 and 403 are about the gateway's own credentials and are not passed on. */
export function isAnswerStatus(status: number): boolean {
  return (
    status === 200 ||
    status === 400 ||
    status === 404 ||
    status === 405 ||
    status === 406 ||
    status === 409 ||
    status === 415
  );
}

/** The outcome of a call that failed so. */
export function statusOfError(error: unknown): OutcomeStatus {
  return error instanceof GatewayError && error.reason === 'upstream_timeout' ? 'timeout' : 'upstream_error';
}

/**
 * An upstream's JSON-RPC answer as the text that its client gets.
 *
 * @throws GatewayError `bad_gateway` when it holds neither a result nor an error, or is nested too deeply to be written
 */
export function answerText({ slug }: { readonly slug: string }, answer: JsonObject): string {
  if (!isObject(answer['result']) && !isObject(answer['error'])) {
    const message = `The upstream "${slug}" answered with neither a result nor an error. Its maker can tell why.`;
    throw new GatewayError('bad_gateway', message);
  }
  try {
    return JSON.stringify(answer);
  } catch (cause) {
    // JSON.parse reads any depth; JSON.stringify recurses and overflows the stack.
    throw new GatewayError('bad_gateway', `The answer of the upstream "${slug}" is nested too deeply.`, { cause });
  }
}

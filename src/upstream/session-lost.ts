import { GatewayError } from '../domain/errors.ts';
import { isObject, type JsonObject } from './message.ts';

/** The upstream did not process a request, because it does not know the session any more. */
export class SessionLost extends GatewayError {
  readonly status: number;
  /** What the upstream answered, in case it was about the request after all. */
  readonly answer: JsonObject | undefined;

  constructor(status: number, answer: JsonObject | undefined, instead: GatewayError) {
    super(instead.reason, instead.message, { cause: instead.cause });
    this.status = status;
    this.answer = answer;
  }
}

/** Codes with which servers say that there is no such session, or that a request is not one. */
const ABOUT_SESSIONS: ReadonlySet<unknown> = new Set([-32000, -32001, -32600]);

/**
 * True when an answer to a request in a session says that the session is gone. 404 is the specified answer (specification 2025-11-25,
 * basic/transports, section Session Management); many servers say 400. An error under the request's own id that is about something
 * else shows that the request was read.
 */
export function isSessionLost(status: number, answer: JsonObject | undefined, requestId: unknown): boolean {
  if (status !== 404 && status !== 400) {
    return false;
  }
  const error = answer?.['error'];
  return answer?.['id'] !== requestId || !isObject(error) || ABOUT_SESSIONS.has(error['code']);
}

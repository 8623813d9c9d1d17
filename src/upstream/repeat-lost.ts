import type { ChannelRequestOptions } from './channel.ts';
import type { JsonObject } from './message.ts';
import type { Multiplexer } from './multiplexer.ts';
import { SessionLost } from './session-lost.ts';

export interface RepeatLostDeps {
  readonly now: () => number;
  /** The connection to use, opened if need be. */
  readonly connection: () => Multiplexer | Promise<Multiplexer>;
  /** The upstream no longer knows the session of this connection. */
  readonly onLost: (connection: Multiplexer) => void;
}

/** How long an HTTP 400 is believed to be about its request, after a new session has answered the same. */
const BELIEVE_400_MS = 1000;

/**
 * Makes what sends requests, each once more in a new session when the upstream did not process it because it knew the old one no more
 * (specification 2025-11-25, basic/transports, section Session Management).
 */
export function createRepeatLost({ now, connection, onLost }: RepeatLostDeps) {
  let believe400Until = 0;

  return async (message: JsonObject, options: ChannelRequestOptions): Promise<JsonObject> => {
    const opening = connection();
    // Not a turn later: a cancellation that follows at once has to find the request.
    const first = opening instanceof Promise ? await opening : opening;
    try {
      return await first.request(message, options);
    } catch (error) {
      if (!(error instanceof SessionLost)) {
        throw error;
      }
      if (error.status === 400 && now() < believe400Until) {
        return answerIn(error, message);
      }
      onLost(first);
    }
    const second = await connection();
    try {
      return await second.request(message, options);
    } catch (error) {
      if (!(error instanceof SessionLost)) {
        throw error;
      }
      believe400Until = now() + BELIEVE_400_MS;
      return answerIn(error, message);
    }
  };
}

/** What looked like a lost session is the answer after all, if it is one. */
function answerIn(error: SessionLost, message: JsonObject): JsonObject {
  if (error.answer === undefined) {
    throw error;
  }
  return { ...error.answer, id: message['id'] };
}

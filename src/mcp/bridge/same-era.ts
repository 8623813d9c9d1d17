import type { Channel } from '../../upstream/channels.ts';
import type { JsonObject } from '../../upstream/message.ts';
import { Deliveries } from './deliveries.ts';
import { type Leg, optionsOf } from './leg.ts';
import type { LogLevels } from './log-levels.ts';
import type { Questions } from './questions.ts';
import type { UpstreamLogLevels } from './upstream-log-levels.ts';

/** A modern client's request to a modern upstream: all that comes, `requestState` included, is the client's as it is. */
export function carryModern(leg: Leg, channel: Channel): Promise<JsonObject> {
  return channel.request(leg.request.message, optionsOf(leg, leg.stream.send));
}

export interface CarryLegacyDeps {
  readonly questions: Questions;
  readonly levels: LogLevels;
  readonly upstreamLevels: UpstreamLogLevels;
}

/** A legacy client's request to a legacy upstream; what the upstream asks meanwhile is asked on the client's response stream. */
export async function carryLegacy(deps: CarryLegacyDeps, leg: Leg, channel: Channel): Promise<JsonObject> {
  const { client, stream } = leg;
  const logLevel = () => deps.levels.find(client.sessionId);
  const deliveries = new Deliveries({ questions: deps.questions, channel, client, logLevel });
  const onMessage = (message: JsonObject): void => {
    const translated = deliveries.translate(message);
    if (translated !== undefined) {
      stream.send(translated);
    }
  };
  try {
    await deps.upstreamLevels.raise(channel, logLevel());
    return await channel.request(leg.request.message, optionsOf(leg, onMessage));
  } finally {
    deliveries.end();
  }
}

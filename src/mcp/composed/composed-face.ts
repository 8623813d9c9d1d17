import { failureOf } from '../errors.ts';
import type { McpPost } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import type { ComposedDeps, ComposedFaceDeps } from './deps.ts';
import { findHandler } from './handlers.ts';
import { takeNotification, takeResponse } from './one-way.ts';
import { createSessionStreams, type SessionRequest } from './session-stream.ts';
import { createSessionSubscriptions } from './session-subscriptions.ts';
import { createSharedSubscriptions } from './shared-subscriptions.ts';
import { endSubscriptions } from './subscribe.ts';
import { countMembers } from './usage.ts';
import { withoutTasks } from './without-tasks.ts';

/** Answers what clients send to a gateway, or to an upstream that does not speak their era. */
export interface ComposedFace {
  /** One message; resolves when it was answered, or its stream is over: `ending` ends one that only listens. */
  post(post: McpPost, ending: AbortSignal): Promise<void>;
  /** The server-to-client stream of a legacy session; ends with the client. */
  openStream(request: SessionRequest): Promise<void>;
  /** Drops what is held for a session that was ended. */
  endSession(request: SessionRequest): Promise<void>;
  close(): void;
}

/** Makes it. */
export function createComposedFace(made: ComposedFaceDeps): ComposedFace {
  const shared = createSharedSubscriptions();
  const subscriptions = createSessionSubscriptions({ onLapse: shared.forget });
  const deps: ComposedDeps = { ...made, config: made.call.config, shared, subscriptions };
  const streams = createSessionStreams(deps);

  async function openStream(request: SessionRequest): Promise<void> {
    countMembers(deps, request.target);
    await streams.open(request);
  }

  async function endSession(request: SessionRequest): Promise<void> {
    endSubscriptions(deps, request);
    const { members } = deps.seating.seatsOf(request.target);
    await Promise.all(members.map(({ upstream }) => deps.channels.endSession(upstream, request.session.id)));
  }

  return { post: (post, ending) => answer(deps, post, ending), openStream, endSession, close: subscriptions.close };
}

async function answer(deps: ComposedDeps, post: McpPost, ending: AbortSignal): Promise<void> {
  const { message, era } = post;
  switch (message.kind) {
    case 'response':
      return takeResponse(deps, post);
    case 'notification':
      return takeNotification(deps, post);
    case 'request': {
      const handle = findHandler(message.method, era);
      if (handle === undefined) {
        const error = { code: -32601, message: `Method not found: ${message.method}` };
        return post.answer.sendError(message.id ?? null, error, era === 'modern' ? 404 : 200);
      }
      return handle(deps, withoutTasks(post), ending).catch((error: unknown) => answerFailure(post, error));
    }
  }
}

/** What the client did wrong, or could not be done for it, is told as a JSON-RPC error; what it did not cause is thrown on, to be logged. */
function answerFailure({ message, answer }: McpPost, error: unknown): void {
  const id = message.id ?? null;
  if (error instanceof InvalidMessageError) {
    const { code } = error;
    return answer.sendError(id, { code, message: error.message }, code === -32020 ? 400 : 200);
  }
  answer.sendError(id, failureOf(error));
  throw error;
}

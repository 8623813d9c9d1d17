import { GatewayError } from '../../domain/errors.ts';
import { newId } from '../../domain/ids.ts';
import type { JsonObject } from '../../upstream/message.ts';
import type { McpPost } from '../exchange.ts';
import { exactValue } from '../json-rpc.ts';
import { type Relay, readExactly } from './relay.ts';
import type { Tokens } from './tokens.ts';

/** The client that is asked. */
export interface Asked {
  readonly principalId: string;
  readonly sessionId: string;
}

/** Something a legacy client was asked. */
export interface Question {
  /** The id of the JSON-RPC request to the client; nobody can guess it. */
  readonly id: string;
  /** The answer is not waited for any more. */
  forget(): void;
}

export interface Answering {
  /** Takes the client's JSON-RPC response, with a result or an error; called at most once. */
  readonly onAnswer: (response: JsonObject) => void;
  /** Called when the client has not answered in time. */
  readonly onLapse: () => void;
}

export interface QuestionsDeps {
  readonly tokens: Tokens;
  readonly relay: Relay;
  /** Longest time that a client may take to answer, in milliseconds. */
  readonly holdMs: number;
}

export type Questions = ReturnType<typeof createQuestions>;

/** Questions that may wait for an answer on this replica. */
const MAX_WAITING = 10_000;

/** What legacy clients were asked on this replica and have not answered; an answer counts only from the session and principal that was asked. */
export function createQuestions({ tokens, relay, holdMs }: QuestionsDeps) {
  const waiting = new Map<string, (response: JsonObject) => void>();
  relay.on('answer', ({ questionId, response }) => waiting.get(questionId)?.(readExactly(response)));

  /** Makes an id under which the client can be asked; throws `unavailable` when too many are. */
  async function ask({ principalId, sessionId }: Asked, { onAnswer, onLapse }: Answering): Promise<Question> {
    if (waiting.size >= MAX_WAITING) {
      throw new GatewayError(
        'unavailable',
        'Too many questions wait for the answers of clients. Repeat the call later.',
      );
    }
    const questionId = newId();
    const forget = () => {
      clearTimeout(timer);
      waiting.delete(questionId);
    };
    const timer = setTimeout(() => {
      forget();
      onLapse();
    }, holdMs).unref();
    waiting.set(questionId, (response) => {
      forget();
      onAnswer(response);
    });
    try {
      const { replicaId } = relay;
      const id = await tokens.make({ kind: 'question', replicaId, questionId, principalId, sessionId });
      return { id, forget };
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** Hands a client's response to who waits for it, on this replica or another; false = this client was not asked that by the gateway. */
  async function take({ message, principal, session }: McpPost): Promise<boolean> {
    const token = message.kind === 'response' ? await tokens.read('question', message.id) : undefined;
    if (token === undefined || token.principalId !== principal.id || token.sessionId !== session?.id) {
      return false;
    }
    const { replicaId, questionId } = token;
    const response = exactValue(message);
    if (replicaId !== relay.replicaId) {
      return relay.send(replicaId, { kind: 'answer', questionId, response: JSON.stringify(response) });
    }
    waiting.get(questionId)?.(response);
    return true;
  }

  return { ask, take };
}

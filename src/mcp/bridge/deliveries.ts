import type { Channel, ChannelClient } from '../../upstream/channels.ts';
import { errorAnswer, type JsonObject, paramsOf } from '../../upstream/message.ts';
import { capabilityText, findLacking, isAskingMethod } from './client-capabilities.ts';
import { isLoud } from './log-levels.ts';
import type { Question, Questions } from './questions.ts';

export interface DeliveriesOptions {
  readonly questions: Questions;
  readonly channel: Pick<Channel, 'respond'>;
  /** The legacy client that gets them. */
  readonly client: ChannelClient;
  /** Least severe log message that it wants; undefined = it has not said. */
  readonly logLevel: () => string | undefined;
}

/** What a legacy upstream says to one legacy client, as that client may get it. */
export class Deliveries {
  readonly #options: DeliveriesOptions;
  /** What the client was asked and has not answered, by the id under which the channel delivered it. */
  readonly #asked = new Map<unknown, Promise<Question | undefined>>();

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /** The message for the client; undefined when it is not for it, and the upstream has been told if it asked for something. */
  translate(message: JsonObject): JsonObject | undefined | Promise<JsonObject | undefined> {
    const { method, id } = message;
    if (typeof method === 'string' && id !== undefined) {
      return this.#onRequest(message, method, id);
    }
    if (method === 'notifications/cancelled') {
      return this.#onCancelled(message);
    }
    const least = this.#options.logLevel();
    const isLog = method === 'notifications/message' && least !== undefined;
    return isLog && !isLoud(paramsOf(message)['level'], least) ? undefined : message;
  }

  /** Answers to what was asked are not taken any more. */
  end(): void {
    for (const question of this.#asked.values()) {
      void question.then((known) => known?.forget());
    }
    this.#asked.clear();
  }

  async #onRequest(message: JsonObject, method: string, id: unknown): Promise<JsonObject | undefined> {
    const capabilities = this.#options.client.initializeParams?.['capabilities'];
    const lacking = isAskingMethod(method) ? findLacking(capabilities, method, paramsOf(message)) : undefined;
    if (lacking !== undefined) {
      this.#refuse(id, -32602, `the client does not support ${capabilityText(lacking)}`);
      return undefined;
    }
    const asking = this.#ask(id);
    this.#asked.set(id, asking);
    const question = await asking;
    return question === undefined ? undefined : { ...message, id: question.id };
  }

  async #ask(id: unknown): Promise<Question | undefined> {
    const { questions, channel, client } = this.#options;
    try {
      return await questions.ask(client, {
        onAnswer: (response) => {
          this.#asked.delete(id);
          channel.respond(client, { ...response, id });
        },
        onLapse: () => this.#refuse(id, -32603, 'the client did not answer in time'),
      });
    } catch (error) {
      this.#refuse(id, -32603, error instanceof Error ? error.message : 'the client cannot be asked');
      return undefined;
    }
  }

  #refuse(id: unknown, code: number, why: string): void {
    const { channel, client } = this.#options;
    this.#asked.delete(id);
    channel.respond(client, errorAnswer(id, code, why));
  }

  /** The upstream takes back what it asked. */
  async #onCancelled(message: JsonObject): Promise<JsonObject | undefined> {
    const params = paramsOf(message);
    const question = await this.#asked.get(params['requestId']);
    question?.forget();
    this.#asked.delete(params['requestId']);
    return question === undefined ? undefined : { ...message, params: { ...params, requestId: question.id } };
  }
}

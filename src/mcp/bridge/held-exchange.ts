import { newId } from '../../domain/ids.ts';
import type { Channel, ChannelClient, ChannelRequestOptions } from '../../upstream/channels.ts';
import { errorAnswer, isObject, type JsonObject, paramsOf } from '../../upstream/message.ts';
import { capabilityText, findLacking, isAskingMethod } from './client-capabilities.ts';
import { isLoud } from './log-levels.ts';
import { toInputRequest } from './to-legacy-upstream.ts';

/** One request of a modern client, the first of a call or a retry with answers: what it hears while the call goes on. */
export interface Round {
  /** Absent = no progress is wanted. */
  readonly progressToken?: unknown;
  /** Least severe log message that is wanted; absent = none. */
  readonly logLevel?: string | undefined;
  readonly send: (message: JsonObject) => void;
  /** Aborted when the client is gone, which cancels the call. */
  readonly signal: AbortSignal;
}

/** How a round ended: with the upstream's JSON-RPC answer, or with `inputRequests` for the client. */
export type RoundEnd =
  | { readonly kind: 'answer'; readonly answer: JsonObject }
  | { readonly kind: 'questions'; readonly inputRequests: JsonObject };

export interface HeldExchangeOptions {
  readonly channel: Channel;
  readonly client: ChannelClient;
  /** What the client can do, in the words of the modern era. */
  readonly capabilities: JsonObject;
  /** The request in the words of the legacy era. */
  readonly message: JsonObject;
  readonly options: Pick<ChannelRequestOptions, 'timeoutMs' | 'headers'>;
  /** False for methods that may not be answered with `input_required`. */
  readonly mayAsk: boolean;
}

const MAX_QUESTIONS = 100;
/** Messages of progress that are kept for the next round. */
const MAX_MISSED = 100;

/** A call at a legacy upstream that modern clients drive in rounds: the upstream's own requests end a round, and wait until the next brings the answers. */
export class HeldExchange {
  readonly id = newId();
  readonly #options: HeldExchangeOptions;
  readonly #gone = new AbortController();
  /** The upstream's requests that wait for an answer, by their ids; the key under which the client knows them. */
  readonly #questions = new Map<unknown, { readonly key: string; readonly request: JsonObject }>();
  /** Progress that came between rounds, oldest first. */
  readonly #missed: JsonObject[] = [];
  #answer: Promise<JsonObject> | undefined;
  #isAnswered = false;
  #lastKey = 0;
  #turn = 0;
  #round: (Round & { readonly end: (end: RoundEnd) => void }) | undefined;

  constructor(options: HeldExchangeOptions) {
    this.#options = options;
  }

  /** Rounds that are over or on their way. */
  get turn(): number {
    return this.#turn;
  }

  /** True between rounds. */
  get isWaiting(): boolean {
    return this.#round === undefined;
  }

  /** Runs one round; `responses` holds the client's answers by key. Rejects when the upstream fails, or the client goes away. */
  async run(round: Round, responses: JsonObject = {}): Promise<RoundEnd> {
    const { promise, resolve } = Promise.withResolvers<RoundEnd>();
    const current = { ...round, end: resolve };
    const abort = () => this.abort();
    this.#turn++;
    this.#round = current;
    round.signal.addEventListener('abort', abort, { once: true });
    if (round.signal.aborted) {
      this.abort();
    }
    for (const message of this.#missed.splice(0)) {
      this.#onProgress(message, paramsOf(message));
    }
    this.#answer ??= this.#start();
    this.#respond(responses);
    this.#endSoon();
    try {
      const answered = this.#answer.then((answer): RoundEnd => ({ kind: 'answer', answer }));
      return await Promise.race([promise, answered]);
    } finally {
      round.signal.removeEventListener('abort', abort);
      if (this.#round === current) {
        this.#round = undefined;
      }
    }
  }

  /** Gives the call up; the upstream is told. */
  abort(): void {
    this.#gone.abort();
  }

  #start(): Promise<JsonObject> {
    const { channel, client, message, options } = this.#options;
    const { signal } = this.#gone;
    const onMessage = (heard: JsonObject) => this.#onMessage(heard);
    const answer = channel.request(message, { ...options, client, signal, onMessage });
    const note = () => {
      this.#isAnswered = true;
    };
    // Between rounds nobody waits for it; the next round finds it.
    answer.then(note, note);
    return answer;
  }

  #respond(responses: JsonObject): void {
    const { channel, client } = this.#options;
    for (const [id, { key }] of this.#questions) {
      const result = Object.hasOwn(responses, key) ? responses[key] : undefined;
      if (isObject(result)) {
        this.#questions.delete(id);
        channel.respond(client, { jsonrpc: '2.0', id, result });
      }
    }
  }

  #onMessage(message: JsonObject): void {
    const { method, id } = message;
    const params = paramsOf(message);
    if (typeof method === 'string' && id !== undefined) {
      this.#onRequest(message, method, params);
    } else if (method === 'notifications/cancelled') {
      this.#questions.delete(params['requestId']);
    } else if (method === 'notifications/progress') {
      this.#onProgress(message, params);
    } else if (method === 'notifications/message') {
      const least = this.#round?.logLevel;
      if (least !== undefined && isLoud(params['level'], least)) {
        this.#round?.send(message);
      }
    }
  }

  /** Each round has a token of its own. */
  #onProgress(message: JsonObject, params: JsonObject): void {
    if (this.#round === undefined) {
      this.#missed.push(message);
      this.#missed.splice(0, this.#missed.length - MAX_MISSED);
      return;
    }
    const { progressToken, send } = this.#round;
    if (progressToken !== undefined) {
      send({ ...message, params: { ...params, progressToken } });
    }
  }

  #onRequest(message: JsonObject, method: string, params: JsonObject): void {
    const { channel, client, capabilities, mayAsk } = this.#options;
    const { id } = message;
    const refuse = (code: number, why: string) => void channel.respond(client, errorAnswer(id, code, why));
    if (!mayAsk || !isAskingMethod(method)) {
      return refuse(-32601, `the client cannot be asked for ${method} here`);
    }
    const lacking = findLacking(capabilities, method, params);
    if (lacking !== undefined) {
      return refuse(-32602, `the client does not support ${capabilityText(lacking)}`);
    }
    if (this.#questions.size >= MAX_QUESTIONS) {
      return refuse(-32603, `more than ${MAX_QUESTIONS} requests wait for the client`);
    }
    this.#questions.set(id, { key: `input_${++this.#lastKey}`, request: toInputRequest(message) });
    this.#endSoon();
  }

  /** Ends the round with all that the client has to answer; what the upstream asks in the same turn goes with it. */
  #endSoon(): void {
    const round = this.#round;
    setImmediate(() => {
      if (round !== undefined && round === this.#round && this.#questions.size > 0 && !this.#isAnswered) {
        this.#round = undefined;
        const entries = [...this.#questions.values()].map(({ key, request }) => [key, request]);
        round.end({ kind: 'questions', inputRequests: Object.fromEntries(entries) });
      }
    });
  }
}

import { GatewayError } from '../domain/errors.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channel, ChannelClient } from './channel.ts';
import { sharingOf } from './channel-key.ts';
import type { UpstreamLog } from './connection.ts';
import type { OpenConnection } from './connections.ts';
import { initializeParamsFor } from './gateway-client.ts';
import { Listeners } from './listeners.ts';
import { isObject, type JsonObject } from './message.ts';
import { Multiplexer } from './multiplexer.ts';
import type { ProcessLimit } from './process-limit.ts';
import { RestartDelay } from './restart-delay.ts';
import { GATEWAY_CLIENT } from './routes.ts';

export interface ChannelSlotOptions {
  readonly openConnection: OpenConnection;
  readonly log: UpstreamLog;
  readonly now: () => number;
  readonly upstream: Upstream;
  readonly era: Era;
  /** The first client; what it said in `initialize` is said to the upstream. */
  readonly client: ChannelClient;
  readonly limit: ProcessLimit;
  /** Ends a process of the same upstream that can be spared; false when there is none. */
  readonly evict: () => boolean;
}

/** An SSE stream without a call for this long is closed; stdio upstreams have a setting for it. */
const SSE_IDLE_MS = 5 * 60_000;
/** Shortest wait before a lost connection is opened again without a call. */
const REOPEN_MS = 500;

/** The place of one shared connection: started when it is needed, restarted after a crash, ended when idle. */
export class ChannelSlot {
  readonly upstream: Upstream;
  readonly client: ChannelClient;
  readonly #options: ChannelSlotOptions;
  readonly #listeners = new Listeners();
  readonly #delay: RestartDelay;
  #multiplexer: Multiplexer | undefined;
  #channel: Channel | undefined;
  #opening: Promise<Channel> | undefined;
  #isEnding = false;
  #ended: Promise<void> = Promise.resolve();
  #idleTimer: NodeJS.Timeout | undefined;
  #isRetired = false;
  #lastUse = 0;

  constructor(options: ChannelSlotOptions) {
    this.#options = options;
    this.upstream = options.upstream;
    this.client = options.client;
    this.#delay = new RestartDelay(options.upstream.slug, options.now);
  }

  get lastUse(): number {
    return this.#lastUse;
  }

  get hasListeners(): boolean {
    return this.#listeners.size > 0;
  }

  /** True when a process runs that no call needs right now. */
  get isSpare(): boolean {
    return this.#channel !== undefined && !this.#isEnding && this.#multiplexer?.inFlight === 0;
  }

  /** True when there is nothing to remember about it. */
  get isUnused(): boolean {
    return (
      this.#multiplexer === undefined && this.#opening === undefined && !this.hasListeners && this.#delay.isForgotten
    );
  }

  /** The channel, started if need be. */
  open(): Promise<Channel> {
    this.#lastUse = this.#options.now();
    this.#idleTimer?.refresh();
    if (this.#isRetired) {
      return Promise.reject(this.#changed());
    }
    if (this.#channel !== undefined && !this.#isEnding) {
      return Promise.resolve(this.#channel);
    }
    this.#opening ??= this.#start().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Ends the connection now; resolves when nothing of it is left. */
  end(): Promise<void> {
    if (this.#multiplexer !== undefined && !this.#isEnding) {
      this.#isEnding = true;
      this.#options.limit.ending();
      this.#ended = this.#multiplexer.close();
    }
    return this.#ended;
  }

  /** The upstream was changed or removed: streams end at once, the connection after its calls. */
  retire(): void {
    this.#isRetired = true;
    this.#listeners.end();
    this.#multiplexer?.endListens(this.#changed());
    if (this.isSpare) {
      void this.end();
    }
  }

  async #start(): Promise<Channel> {
    await this.#ended;
    this.#delay.start();
    const permit = this.#options.limit.acquire(this.#options.evict);
    if (permit === undefined) {
      throw this.#full();
    }
    await permit;
    const multiplexer = await this.#connect();
    try {
      const channel = this.#channelOf(multiplexer, await this.#initialize(multiplexer));
      if (this.#isRetired) {
        throw this.#changed();
      }
      this.#channel = channel;
      return channel;
    } catch (error) {
      if (!multiplexer.isClosed) {
        this.#noteFailure(error);
        void this.end();
      }
      throw error;
    }
  }

  async #connect(): Promise<Multiplexer> {
    const { openConnection, upstream, era, log, limit } = this.#options;
    try {
      const connection = await openConnection(upstream);
      const sharing = sharingOf(upstream);
      const onIdle = () => this.#onIdle();
      const onClose = (error: GatewayError) => this.#onClose(error);
      this.#multiplexer = new Multiplexer({
        connection,
        upstream,
        era,
        sharing,
        listeners: this.#listeners,
        log,
        onIdle,
        onClose,
      });
      this.#idleTimer = setTimeout(() => this.#onIdleTimer(), this.#idleMs()).unref();
      return this.#multiplexer;
    } catch (error) {
      limit.release(false);
      throw error;
    }
  }

  /** Specification 2025-11-25, basic/lifecycle, section Initialization; undefined for a modern upstream, which has none. */
  async #initialize(multiplexer: Multiplexer): Promise<JsonObject | undefined> {
    const { era, upstream, client } = this.#options;
    if (era === 'modern') {
      return undefined;
    }
    const params = initializeParamsFor(client, sharingOf(upstream));
    const request = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
    const options = { client: GATEWAY_CLIENT, signal: new AbortController().signal, onMessage: () => undefined };
    const { result, error } = await multiplexer.request(request, options);
    if (!isObject(result)) {
      const reason = isObject(error) ? String(error['message']) : 'its answer has no result';
      throw new GatewayError('bad_gateway', `The upstream "${upstream.slug}" refused the initialization: ${reason}`);
    }
    await multiplexer.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return result;
  }

  #channelOf(multiplexer: Multiplexer, initializeResult: JsonObject | undefined): Channel {
    return {
      initializeResult,
      request: async (message, options) => {
        // It may have been ended, as idle, after it was handed out; nothing was sent yet.
        const isOver = multiplexer.isClosed || this.#isEnding;
        return isOver ? (await this.open()).request(message, options) : multiplexer.request(message, options);
      },
      notify: (client, message) => multiplexer.notify(client, message),
      respond: (client, message) => multiplexer.respond(client, message),
      attach: (client, listener, onEnd) =>
        this.#listeners.attach({ client, send: listener, end: onEnd ?? (() => undefined) }),
    };
  }

  #onIdle(): void {
    this.#idleTimer?.refresh();
    if (this.#isRetired && this.#channel !== undefined) {
      void this.end();
    }
  }

  #onIdleTimer(): void {
    if (this.isSpare && !this.hasListeners) {
      void this.end();
    } else {
      this.#idleTimer?.refresh();
    }
  }

  #onClose(error: GatewayError): void {
    const wasEnding = this.#isEnding;
    clearTimeout(this.#idleTimer);
    this.#multiplexer = undefined;
    this.#channel = undefined;
    this.#isEnding = false;
    this.#options.limit.release(wasEnding);
    if (!wasEnding) {
      this.#noteFailure(error);
      this.#reopenForListeners();
    }
  }

  /** Who listens makes no call that would start it again. */
  #reopenForListeners(): void {
    if (!this.hasListeners || this.#isRetired) {
      return;
    }
    const reopen = () => {
      if (this.hasListeners && this.#channel === undefined) {
        this.open().catch(() => this.#reopenForListeners());
      }
    };
    setTimeout(reopen, Math.max(REOPEN_MS, this.#delay.waitMs)).unref();
  }

  #noteFailure(error: unknown): void {
    if (error instanceof GatewayError && error.reason !== 'failed_precondition') {
      this.#delay.failed(error);
      this.#options.log.warn({ upstream: this.upstream.slug, err: error }, 'the connection to an upstream failed');
    }
  }

  #idleMs(): number {
    const { transport } = this.upstream;
    return transport.kind === 'stdio' ? transport.idleTimeoutMs : SSE_IDLE_MS;
  }

  #changed(): GatewayError {
    return new GatewayError(
      'unavailable',
      `The upstream "${this.upstream.slug}" was changed or removed meanwhile. Repeat the call.`,
    );
  }

  #full(): GatewayError {
    const message =
      `The upstream "${this.upstream.slug}" already runs as many processes as it may, and all are busy. ` +
      'Repeat the call later, or raise its maximum of processes.';
    return new GatewayError('unavailable', message, { retryAfterMs: 1000 });
  }
}

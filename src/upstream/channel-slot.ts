import { GatewayError } from '../domain/errors.ts';
import type { Era, Upstream } from '../domain/upstream.ts';
import type { Channel, ChannelClient, ChannelListener } from './channel.ts';
import { sharingOf } from './channel-key.ts';
import type { UpstreamLog } from './connection.ts';
import { type ConnectionLife, connectionLifeOf, HTTP_IDLE_MS } from './connection-life.ts';
import type { ConnectionLimit } from './connection-limit.ts';
import type { OpenConnection } from './connections.ts';
import { initialize } from './initialize.ts';
import { type Listener, Listeners } from './listeners.ts';
import { LiveConnections } from './live-connections.ts';
import type { JsonObject } from './message.ts';
import { Multiplexer } from './multiplexer.ts';
import { createReopening } from './reopening.ts';
import { createRepeatLost } from './repeat-lost.ts';
import { RestartDelay } from './restart-delay.ts';
import { changed, closedAtOnce, full } from './slot-errors.ts';

export interface ChannelSlotOptions {
  readonly openConnection: OpenConnection;
  readonly log: UpstreamLog;
  readonly now: () => number;
  readonly upstream: Upstream;
  readonly era: Era;
  /** The first client; what it said in `initialize` is said to the upstream. */
  readonly client: ChannelClient;
  readonly limit: ConnectionLimit;
  /** Ends a connection under the same limit that can be spared; false when there is none. */
  readonly evict: () => boolean;
  /** How long a session or stream over HTTP may be without a call. */
  readonly httpIdleMs?: number;
}

/** The place of one shared connection: opened when it is needed, made anew when it is lost, ended when idle. */
export class ChannelSlot {
  readonly upstream: Upstream;
  readonly era: Era;
  readonly client: ChannelClient;
  lastUse = 0;
  readonly #options: ChannelSlotOptions;
  readonly #life: ConnectionLife;
  readonly #listeners: Listeners;
  readonly #delay: RestartDelay;
  readonly #connections: LiveConnections;
  readonly #request: Channel['request'];
  readonly #reopen: () => void;
  /** Set while the current connection is ready for calls. */
  #channel: Channel | undefined;
  #opening: Promise<Channel> | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #isRetired = false;
  /** Somebody listened when a connection went away. */
  #isGapDue = false;

  constructor(options: ChannelSlotOptions) {
    const { upstream, era, client, now, httpIdleMs = HTTP_IDLE_MS } = options;
    this.#options = options;
    this.upstream = upstream;
    this.era = era;
    this.client = client;
    this.#life = connectionLifeOf(upstream, httpIdleMs);
    this.#delay = new RestartDelay(upstream.slug, now, this.#life.longestLockMs);
    this.#connections = new LiveConnections(options.limit);
    this.#listeners = new Listeners((detached) => this.#onListeners(detached));
    const connection = () => this.#connection();
    this.#request = createRepeatLost({ now, connection, onLost: (lost) => this.#leave(lost) });
    const isWanted = () => this.hasListeners && !this.#isRetired && this.#channel === undefined;
    this.#reopen = createReopening({ isWanted, open: () => this.open(), delay: this.#delay });
  }

  get hasListeners(): boolean {
    return this.#listeners.size > 0;
  }

  /** True when a connection is open that no client needs right now. */
  get isSpare(): boolean {
    return this.#ready?.isSpare === true;
  }

  /** True when somebody hears what the upstream says. */
  get isHeard(): boolean {
    return this.hasListeners || (this.#ready?.inFlight ?? 0) > 0;
  }

  /** True when there is nothing to remember about it. */
  get isUnused(): boolean {
    const isClosed = this.#connections.isEmpty && this.#opening === undefined;
    return isClosed && !this.hasListeners && this.#delay.isForgotten;
  }

  /** The current connection, if calls may use it. */
  get #ready(): Multiplexer | undefined {
    const { current } = this.#connections;
    const isReady = current !== undefined && this.#channel !== undefined && !this.#connections.isEnding(current);
    return isReady ? current : undefined;
  }

  /** The channel, if calls may use it now. */
  get opened(): Channel | undefined {
    return this.#ready === undefined ? undefined : this.#channel;
  }

  /** The channel, opened if need be. */
  open(): Promise<Channel> {
    this.#touch();
    if (this.#isRetired) {
      return Promise.reject(changed(this.upstream));
    }
    const { opened } = this;
    if (opened !== undefined) {
      return Promise.resolve(opened);
    }
    this.#opening ??= this.#start().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Ends the connection now, its subscriptions with this error; resolves when nothing of it is left. */
  end(error?: GatewayError): Promise<void> {
    return this.#connections.endAll(error);
  }

  /** The upstream was changed or removed: streams end at once, connections after their calls. */
  retire(): void {
    this.#isRetired = true;
    this.#listeners.end();
    this.#connections.endListens(changed(this.upstream));
    if (this.isSpare) {
      void this.end();
    }
  }

  #touch(): void {
    this.lastUse = this.#options.now();
    this.#idleTimer?.refresh();
  }

  async #start(): Promise<Channel> {
    const { era, upstream, client, limit, evict } = this.#options;
    if (this.#life.isExclusive) {
      await this.#connections.ended;
    }
    this.#delay.start();
    const permit = limit.acquire(evict);
    if (permit === undefined) {
      throw full(upstream);
    }
    await permit;
    const connection = await this.#connect();
    try {
      const result = era === 'modern' ? undefined : await initialize(connection, upstream, client);
      if (this.#isRetired) {
        throw changed(upstream);
      }
      return this.#makeReady(connection, result);
    } catch (error) {
      if (!connection.isClosed) {
        this.#noteFailure(error);
        this.#connections.end(connection);
      }
      throw error;
    }
  }

  async #connect(): Promise<Multiplexer> {
    const { openConnection, upstream, era, log, limit } = this.#options;
    try {
      const connection: Multiplexer = new Multiplexer({
        connection: await openConnection(upstream, era),
        upstream,
        era,
        sharing: sharingOf(upstream),
        listeners: this.#listeners,
        log,
        onIdle: () => this.#onIdle(connection),
        onLost: (error) => this.#onLost(connection, error),
        onClose: (error) => this.#onClose(connection, error),
      });
      this.#connections.current = connection;
      return connection;
    } catch (error) {
      limit.release(false);
      throw error;
    }
  }

  #makeReady(connection: Multiplexer, initializeResult: JsonObject | undefined): Channel {
    const channel: Channel = {
      era: this.#options.era,
      initializeResult,
      request: this.#request,
      notify: (client, message) => this.#connections.notify(client, message),
      respond: (client, message) => this.#connections.respond(client, message),
      attach: (client, listener) => this.#attach(client, listener),
    };
    this.#channel = channel;
    this.#idleTimer = setTimeout(() => this.#onIdleTimer(), this.#life.idleMs).unref();
    connection.listen(this.hasListeners);
    if (this.#isGapDue) {
      this.#isGapDue = false;
      this.#listeners.reopened();
    }
    return channel;
  }

  /** The connection for a call; one that was ended after its channel was handed out is opened again. */
  #connection(): Multiplexer | Promise<Multiplexer> {
    const ready = this.#ready;
    if (ready !== undefined) {
      this.#touch();
      return ready;
    }
    return this.open().then(() => this.#ready ?? Promise.reject(closedAtOnce(this.upstream)));
  }

  #attach(client: ChannelClient, listener: ChannelListener): () => void {
    const detach = this.#listeners.attach(client, listener);
    if (this.#isRetired) {
      queueMicrotask(() => this.#listeners.end());
    }
    return detach;
  }

  #onListeners(detached: Listener | undefined): void {
    if (detached !== undefined) {
      this.#connections.detached(detached);
    }
    this.#ready?.listen(this.hasListeners);
    this.#reopen();
  }

  /** The upstream no longer knows the session: what is in flight may end, everything else gets a new one. */
  #leave(connection: Multiplexer): void {
    if (connection === this.#connections.current) {
      this.#connections.leave();
      this.#afterCurrent();
    }
  }

  /** There is no current connection any more. */
  #afterCurrent(): void {
    clearTimeout(this.#idleTimer);
    this.#channel = undefined;
    this.#isGapDue ||= this.hasListeners;
    this.#listeners.deaf();
  }

  #onLost(connection: Multiplexer, error: GatewayError): void {
    if (connection === this.#ready) {
      this.#noteFailure(error);
      this.#leave(connection);
      this.#reopen();
    }
  }

  #onIdle(connection: Multiplexer): void {
    const isCurrent = connection === this.#connections.current;
    if (isCurrent) {
      this.#idleTimer?.refresh();
    }
    if (!isCurrent || (this.#isRetired && this.#channel !== undefined)) {
      this.#connections.end(connection);
    }
  }

  #onIdleTimer(): void {
    if (this.isSpare && !this.isHeard) {
      void this.end();
    } else {
      this.#idleTimer?.refresh();
    }
  }

  #onClose(connection: Multiplexer, error: GatewayError): void {
    const wasCurrent = connection === this.#connections.current;
    const wasEnding = this.#connections.remove(connection);
    if (wasCurrent) {
      this.#afterCurrent();
    }
    if (!wasEnding) {
      this.#noteFailure(error);
      this.#reopen();
    }
  }

  #noteFailure(error: unknown): void {
    if (error instanceof GatewayError && error.reason !== 'failed_precondition') {
      // Where every call tries for itself, the log would repeat each of them.
      const isNews = this.#life.longestLockMs > 0 || this.#delay.isForgotten;
      this.#delay.failed(error);
      const { log } = this.#options;
      log[isNews ? 'warn' : 'debug'](
        { upstream: this.upstream.slug, err: error },
        'the connection to an upstream failed',
      );
    }
  }
}

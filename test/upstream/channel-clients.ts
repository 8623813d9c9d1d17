import type { Era, Upstream } from '../../src/domain/upstream.ts';
import { type Channel, type ChannelClient, type ChannelsDeps, createChannels } from '../../src/upstream/channels.ts';
import { createOpenConnection } from '../../src/upstream/connections.ts';
import type { JsonObject } from '../../src/upstream/message.ts';
import type { StreamableClient } from '../../src/upstream/streamable.ts';
import { processesOf, silentLog } from './stdio.ts';

const noHttp: StreamableClient = {
  exchange() {
    throw new Error('no HTTP in this test');
  },
};

export type ChannelsOptions = Pick<ChannelsDeps, 'maxHttpSessions' | 'httpIdleMs'>;

/** Channels over real processes and sockets. */
export function channelsOf(client: StreamableClient = noHttp, options: ChannelsOptions = {}) {
  const processes = processesOf();
  const openConnection = createOpenConnection({ processes, client });
  const channels = createChannels({ openConnection, log: silentLog, ...options });
  const close = async () => {
    await channels.close();
    await processes.close();
  };
  return { channels, openConnection, close };
}

/** A legacy client of a principal, with the capabilities it declares. */
export function clientOf(principalId: string, sessionId: string, capabilities: JsonObject = {}): ChannelClient {
  const clientInfo = { name: 'test client', version: '1' };
  return { principalId, sessionId, initializeParams: { protocolVersion: '2025-11-25', capabilities, clientInfo } };
}

/** A call of a tool as the client writes it. */
export function toolCall(id: string | number, name: string, args: object = {}, meta?: object): JsonObject {
  return {
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) },
  };
}

/** A message that the fake upstream received. */
export interface ReceivedMessage {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly reason?: string };
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string };
}

/** What the tools of the fake upstream, and of the real ones, answer. */
export interface ToolResult {
  readonly pid: number;
  readonly received: readonly ReceivedMessage[];
  readonly reply: ReceivedMessage;
  readonly initializeParams: JsonObject;
  readonly content: readonly { readonly text: string }[];
  readonly structuredContent: JsonObject;
  readonly isError: boolean;
}

/** One client with a channel: it collects what comes with its calls and what comes on its listening stream. */
export class TestClient {
  readonly client: ChannelClient;
  readonly channel: Channel;
  /** Messages that came with a call. */
  readonly withCalls: JsonObject[] = [];
  /** Messages of the listening stream. */
  readonly heard: JsonObject[] = [];
  readonly gone = new AbortController();
  /** How often the listening stream was told that the connection was made anew. */
  reopened = 0;
  #lastId = 0;
  #waiting: ((message: JsonObject) => void)[] = [];

  constructor(client: ChannelClient, channel: Channel) {
    this.client = client;
    this.channel = channel;
  }

  send(message: JsonObject): Promise<JsonObject> {
    const onMessage = (received: JsonObject) => {
      this.withCalls.push(received);
      this.#waiting.shift()?.(received);
    };
    return this.channel.request(message, { client: this.client, signal: this.gone.signal, onMessage });
  }

  /** The result of a tool call. */
  async call(name: string, args: object = {}, meta?: object): Promise<ToolResult> {
    const answer = await this.send(toolCall(++this.#lastId, name, args, meta));
    return answer.result as ToolResult;
  }

  listen(): () => void {
    return this.channel.attach(this.client, {
      send: (message) => {
        this.heard.push(message);
        this.#waiting.shift()?.(message);
      },
      onReopen: () => {
        this.reopened++;
      },
    });
  }

  /** The first message of a method, of a call or of the listening stream; it may have come already. */
  async first(method: string): Promise<JsonObject> {
    const matches = (message: JsonObject) => message['method'] === method;
    for (;;) {
      const found = this.withCalls.find(matches) ?? this.heard.find(matches);
      if (found !== undefined) {
        return found;
      }
      await this.next();
    }
  }

  /** The next message of a call or of the listening stream. */
  next(): Promise<JsonObject> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Opens a channel for a client. */
export async function connect(
  channels: ReturnType<typeof createChannels>,
  upstream: Upstream,
  client: ChannelClient,
  era: Era = 'legacy',
): Promise<TestClient> {
  return new TestClient(client, await channels.open(upstream, client, era));
}

import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { request } from 'undici';
import type { McpCaller } from './support-mcp-session.ts';

/** An open event stream: what a GET on an MCP endpoint without a session answers. */
export interface DecisionStream {
  readonly status: number;
  readonly contentType: string;
  /** The next event; waits for it. Undefined = the gateway has ended the stream. */
  next(): Promise<EventSourceMessage | undefined>;
  close(): void;
}

/** Opens the event stream of an upstream; resolves when the head of the answer is there. */
export async function openDecisionStream({ url, apiKey }: McpCaller): Promise<DecisionStream> {
  const headers = { authorization: `Bearer ${apiKey}`, accept: 'text/event-stream' };
  const response = await request(url, { headers });
  const events = readEvents(response.body);
  return {
    status: response.statusCode,
    contentType: String(response.headers['content-type']),
    next: async () => (await events.next()).value,
    close: () => void response.body.destroy(),
  };
}

async function* readEvents(body: AsyncIterable<Buffer>): AsyncGenerator<EventSourceMessage, undefined> {
  const arrived: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => arrived.push(event) });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* arrived.splice(0);
  }
}

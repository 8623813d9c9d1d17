import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Upstream } from '../../src/domain/upstream.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { type Conversation, converse, type Json, PLAIN_SCRIPT, type Script } from './scripted-upstream.ts';

/** A streamable HTTP upstream in this process whose lists a test writes. */
export interface ScriptedHttp {
  readonly upstream: Upstream;
  /** Is like this from now on. */
  set(changes: Partial<Script>): void;
  changed(list: string): void;
  /** How many requests of this method it got. */
  count(method: string): number;
  /** Streams on which it can say something outside of requests, or subscriptions. */
  listening(): number;
  /** Has no streams for what is said outside of requests from now on. */
  closeStreams(): void;
  /** Goes away with all connections and sessions. */
  crash(): Promise<void>;
  /** Is there again, on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

interface Session {
  readonly conversation: Conversation;
  stream: ServerResponse | undefined;
}

const frame = (message: Json) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;

/** Starts one. */
export async function scriptedHttp(
  changes: Partial<Script> = {},
  settings: Partial<Upstream> = {},
): Promise<ScriptedHttp> {
  let script = { ...PLAIN_SCRIPT, ...changes };
  const methods: unknown[] = [];
  const sessions = new Map<string, Session>();
  const exchanges = new Set<Conversation>();
  const streams = new Set<ServerResponse>();
  let lastSession = 0;
  let hasStreams = true;

  const keep = (stream: ServerResponse) => {
    streams.add(stream);
    stream.on('close', () => streams.delete(stream));
  };

  /** One request of the modern era: its answer is an event stream if it listens. */
  const exchange = (message: Json, response: ServerResponse) => {
    const conversation = converse(
      () => script,
      (said) => {
        if (message['method'] !== 'subscriptions/listen' || 'error' in said) {
          return void response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ jsonrpc: '2.0', ...said }));
        }
        if (!response.headersSent) {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          keep(response);
        }
        response.write(frame(said));
      },
    );
    exchanges.add(conversation);
    response.on('close', () => exchanges.delete(conversation));
    conversation.take(message);
  };

  const openSession = (message: Json, response: ServerResponse) => {
    const id = `session-${++lastSession}`;
    const answers = new Map<unknown, ServerResponse>();
    const session: Session = {
      stream: undefined,
      conversation: converse(
        () => script,
        (said, to) => {
          const answer = answers.get(to);
          if (answer === undefined) session.stream?.write(frame(said));
          else
            answer
              .writeHead(200, { 'content-type': 'application/json' })
              .end(JSON.stringify({ jsonrpc: '2.0', ...said }));
          answers.delete(to);
        },
      ),
    };
    const take = (taken: Json, to: ServerResponse) => {
      if (taken['id'] !== undefined && 'method' in taken) answers.set(taken['id'], to);
      else to.writeHead(202).end();
      session.conversation.take(taken);
    };
    sessions.set(id, session);
    takers.set(session, take);
    response.setHeader('mcp-session-id', id);
    take(message, response);
  };
  const takers = new Map<Session, (message: Json, response: ServerResponse) => void>();

  const handle = (request: IncomingMessage, text: string, response: ServerResponse): void => {
    const session = sessions.get(String(request.headers['mcp-session-id']));
    const message = text === '' ? {} : (JSON.parse(text) as Json);
    if (request.method === 'POST') methods.push(message['method']);
    if (request.headers['mcp-protocol-version'] === '2026-07-28' && script.era !== 'legacy')
      return exchange(message, response);
    if (message['method'] === 'initialize' && script.era !== 'modern') return openSession(message, response);
    if (session === undefined) return void response.writeHead(404).end();
    if (request.method === 'GET') {
      methods.push('GET');
      if (!hasStreams) return void response.writeHead(405).end();
      session.stream = response.writeHead(200, { 'content-type': 'text/event-stream' });
      session.stream.flushHeaders();
      return keep(response);
    }
    if (request.method === 'DELETE') {
      sessions.delete(String(request.headers['mcp-session-id']));
      return void response.writeHead(200).end();
    }
    takers.get(session)?.(message, response);
  };

  let server: Server;
  const listen = async (port: number): Promise<number> => {
    server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      request.on('end', () => handle(request, text, response));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const crash = async () => {
    sessions.clear();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  const port = await listen(0);
  const era = script.era === 'both' ? {} : { era: script.era };
  return {
    upstream: upstreamOf({ kind: 'streamable_http', url: `http://127.0.0.1:${port}/mcp` }, { ...era, ...settings }),
    set(next) {
      script = { ...script, ...next };
    },
    changed(list) {
      for (const { conversation } of sessions.values()) conversation.changed(list);
      for (const conversation of exchanges) conversation.changed(list);
    },
    count: (method) => methods.filter((each) => each === method).length,
    listening: () => streams.size,
    closeStreams() {
      hasStreams = false;
      for (const stream of streams) stream.end();
    },
    crash,
    restart: async () => void (await listen(port)),
    stop: crash,
  };
}

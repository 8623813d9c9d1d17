import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitationCompleteNotificationSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { Json } from './mcp-client.ts';

/** What the user of a client answers to each elicitation. */
export type Action = 'accept' | 'decline' | 'cancel';

export interface ClientOptions {
  /** Everything unless given. */
  readonly capabilities?: Json;
  readonly action?: Action;
}

export interface CallOptions {
  readonly onProgress?: (progress: number) => void;
  readonly signal?: AbortSignal;
  readonly logLevel?: string;
}

/** An official client that is connected; it remembers what came besides answers. */
export interface BridgeClient {
  /** What it was asked, such as `elicitation/create form`. */
  readonly asked: readonly string[];
  /** Levels of the log messages that came. */
  readonly logs: readonly string[];
  /** Number of pages that were told to be done with. */
  readonly completed: readonly string[];
  /** The parsed text of a tool's result, or `{code, message}` of the error. */
  call(name: string, options?: CallOptions): Promise<unknown>;
  /** The whole result. */
  result(name: string): Promise<Json>;
  read(uri: string): Promise<unknown>;
  prompt(name: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface ClientKind {
  readonly name: string;
  readonly era: 'legacy' | 'modern';
  readonly connect: (url: string, key: string, options?: ClientOptions) => Promise<BridgeClient>;
}

const INFO = { name: 'official', version: '1' };
const EVERYTHING = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const ROOTS = { roots: [{ uri: 'file:///home' }] };
const SAMPLED = { model: 'test', role: 'assistant' as const, content: { type: 'text' as const, text: 'Paris' } };
const transportOptions = (key: string) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } });

function elicited(action: Action, mode: unknown) {
  return { action, ...(action === 'accept' && mode !== 'url' ? { content: { name: 'Ann' } } : {}) };
}

async function connect1(url: string, key: string, options: ClientOptions = {}): Promise<BridgeClient> {
  const { capabilities = EVERYTHING, action = 'accept' } = options;
  const [asked, logs, completed]: string[][] = [[], [], []];
  const client = new Client1(INFO, { capabilities });
  if (capabilities['elicitation'] !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ method, params }) => {
      asked?.push(`${method} ${params.mode ?? 'form'}`);
      return elicited(action, params.mode);
    });
    client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => {
      completed?.push(params.elicitationId);
    });
  }
  if (capabilities['sampling'] !== undefined) {
    client.setRequestHandler(CreateMessageRequestSchema, async ({ method }) => {
      asked?.push(method);
      return SAMPLED;
    });
  }
  if (capabilities['roots'] !== undefined) {
    client.setRequestHandler(ListRootsRequestSchema, async ({ method }) => {
      asked?.push(method);
      return ROOTS;
    });
  }
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs?.push(params.level));
  await client.connect(new Transport1(new URL(url), transportOptions(key)));
  const callTool = async (name: string, { onProgress, signal, logLevel }: CallOptions = {}) => {
    if (logLevel !== undefined) await client.setLoggingLevel(logLevel as 'info');
    return client.callTool({ name, arguments: {} }, undefined, {
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onprogress: ({ progress }) => onProgress(progress) }),
    });
  };
  return {
    asked: asked ?? [],
    logs: logs ?? [],
    completed: completed ?? [],
    call: (name, callOptions) => callTool(name, callOptions).then(parsed, errorOf),
    result: (name) => callTool(name),
    read: (uri) => client.readResource({ uri }).catch(errorOf),
    prompt: (name) => client.getPrompt({ name }).catch(errorOf),
    close: () => client.close(),
  };
}

function connect2(mode: 'legacy' | 'auto') {
  return async (url: string, key: string, options: ClientOptions = {}): Promise<BridgeClient> => {
    const { capabilities = EVERYTHING, action = 'accept' } = options;
    const [asked, logs, completed]: string[][] = [[], [], []];
    const client = new Client2(INFO, { capabilities, versionNegotiation: { mode } });
    if (capabilities['elicitation'] !== undefined) {
      client.setRequestHandler('elicitation/create', async ({ method, params }) => {
        asked?.push(`${method} ${params.mode ?? 'form'}`);
        return elicited(action, params.mode);
      });
    }
    if (capabilities['sampling'] !== undefined) {
      client.setRequestHandler('sampling/createMessage', async ({ method }) => {
        asked?.push(method);
        return SAMPLED;
      });
    }
    if (capabilities['roots'] !== undefined) {
      client.setRequestHandler('roots/list', async ({ method }) => {
        asked?.push(method);
        return ROOTS;
      });
    }
    client.setNotificationHandler('notifications/message', ({ params }) => void logs?.push(params.level));
    await client.connect(new Transport2(new URL(url), transportOptions(key)));
    const callTool = async (name: string, { onProgress, signal, logLevel }: CallOptions = {}) => {
      const isModern = mode === 'auto';
      if (logLevel !== undefined && !isModern) await client.setLoggingLevel(logLevel as 'info');
      const _meta = { 'io.modelcontextprotocol/logLevel': logLevel };
      const params = { name, arguments: {}, ...(isModern && logLevel !== undefined ? { _meta } : {}) };
      return client.callTool(params, {
        ...(signal === undefined ? {} : { signal }),
        ...(onProgress === undefined ? {} : { onprogress: ({ progress }) => onProgress(progress) }),
      });
    };
    return {
      asked: asked ?? [],
      logs: logs ?? [],
      completed: completed ?? [],
      call: (name, callOptions) => callTool(name, callOptions).then(parsed, errorOf),
      result: (name) => callTool(name),
      read: (uri) => client.readResource({ uri }).catch(errorOf),
      prompt: (name) => client.getPrompt({ name }).catch(errorOf),
      close: () => client.close(),
    };
  };
}

/** The official clients of both eras. */
export const clientKinds: readonly ClientKind[] = [
  { name: 'SDK 1.x', era: 'legacy', connect: connect1 },
  { name: 'SDK 2.x in the legacy era', era: 'legacy', connect: connect2('legacy') },
  { name: 'SDK 2.x in the modern era', era: 'modern', connect: connect2('auto') },
];

function parsed(result: unknown): unknown {
  const { content, isError } = result as { content: { text: string }[]; isError?: boolean };
  const [block] = content;
  return isError === true ? { isError, text: block?.text } : JSON.parse(block?.text ?? 'null');
}

function errorOf(error: unknown): unknown {
  const { code, message, data } = error as { code: unknown; message: string; data?: unknown };
  return { code, message, data };
}

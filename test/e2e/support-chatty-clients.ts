import {
  type CallToolResult,
  Client as Client2,
  StreamableHTTPClientTransport as Transport2,
} from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

export type Era = 'legacy' | 'modern';

export interface ChattyClientOptions {
  readonly url: string;
  readonly apiKey: string;
  /** `legacy`: the official SDK 1.x; `modern`: 2.x. */
  readonly era: Era;
  /** Answers what the client is asked; with it the client declares `elicitation`. */
  readonly onElicit?: (message: string) => string;
  /** Hears of what no well-behaved gateway sends: answers and progress without a request, and requests for what was not declared. */
  readonly onStray?: (what: string) => void;
}

/** An official client, connected; calls reject for errors and for results that are errors. */
export interface ChattyClient {
  readonly era: Era;
  readonly declares: boolean;
  /** Names of the tools, as they came. */
  tools(): Promise<string[]>;
  /** The text that a tool answered. */
  call(name: string, args: Record<string, string | number>, onProgress?: (message: string) => void): Promise<string>;
  prompt(name: string, args: Record<string, string>): Promise<string>;
  read(uri: string): Promise<string>;
  /** Ends its session and its streams; once more does nothing. */
  close(): Promise<void>;
}

const INFO = { name: 'chatty client', version: '1' };
const CALL_TIMEOUT_MS = 30_000;

/** Connects an official client. */
export function connectChatty(options: ChattyClientOptions): Promise<ChattyClient> {
  return options.era === 'legacy' ? connect1(options) : connect2(options);
}

async function connect1({ url, apiKey, onElicit, onStray }: ChattyClientOptions): Promise<ChattyClient> {
  const client = new Client1(INFO, { capabilities: capabilitiesOf(onElicit) });
  if (onElicit !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => accept(onElicit(params.message)));
  }
  const endWatch = watchStrays(client, onStray);
  const transport = new Transport1(new URL(url), authorized(apiKey));
  await client.connect(transport);
  return {
    era: 'legacy',
    declares: onElicit !== undefined,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args, onProgress) =>
      client
        .callTool({ name, arguments: args }, undefined, callOptions(onProgress))
        .then((result) => textOf(result as CallToolResult)),
    prompt: (name, args) => client.getPrompt({ name, arguments: args }).then(promptText),
    read: (uri) => client.readResource({ uri }).then(resourceText),
    async close() {
      endWatch();
      if (client.transport !== undefined) {
        await transport.terminateSession();
        await client.close();
      }
    },
  };
}

async function connect2({ url, apiKey, onElicit, onStray }: ChattyClientOptions): Promise<ChattyClient> {
  const versionNegotiation = { mode: 'auto' } as const;
  const client = new Client2(INFO, { versionNegotiation, capabilities: capabilitiesOf(onElicit) });
  if (onElicit !== undefined) {
    client.setRequestHandler('elicitation/create', async ({ params }) => accept(onElicit(params.message)));
  }
  const endWatch = watchStrays(client, onStray);
  await client.connect(new Transport2(new URL(url), authorized(apiKey)));
  return {
    era: 'modern',
    declares: onElicit !== undefined,
    // What it keeps of a list says nothing about the gateway.
    tools: async () => (await client.listTools({}, { cacheMode: 'bypass' })).tools.map(({ name }) => name),
    call: (name, args, onProgress) =>
      client.callTool({ name, arguments: args }, callOptions(onProgress && exceptOwn(onProgress))).then(textOf),
    prompt: (name, args) => client.getPrompt({ name, arguments: args }).then(promptText),
    read: (uri) => client.readResource({ uri }, { cacheMode: 'bypass' }).then(resourceText),
    async close() {
      endWatch();
      await client.close();
    },
  };
}

/** The SDK 2.x tells as progress, too, that it answers questions. */
function exceptOwn(onProgress: (message: string) => void): (message: string) => void {
  return (message) => {
    if (!message.startsWith('Fulfilling input required by')) {
      onProgress(message);
    }
  };
}

/** Begins to watch, until the returned function is called: a client that closes breaks its own streams. */
function watchStrays(client: Client1 | Client2, onStray: ChattyClientOptions['onStray'] = () => {}): () => void {
  Object.assign(client, {
    onerror: (error: unknown) => onStray(toldOf(error)),
    fallbackRequestHandler: async ({ method }: { method: string }) => {
      onStray(`was asked for ${method}`);
      throw new Error(`nobody handles ${method}`);
    },
  });
  return () => void Object.assign(client, { onerror: () => {} });
}

/** An error for people, with why a connection failed, which the SDKs put beneath. */
export function toldOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${String(error)}${cause}`;
}

function capabilitiesOf(onElicit: unknown) {
  return onElicit === undefined ? {} : { elicitation: { form: {} } };
}

function accept(answer: string) {
  return { action: 'accept' as const, content: { answer } };
}

function authorized(apiKey: string) {
  return { requestInit: { headers: { authorization: `Bearer ${apiKey}` } } };
}

function callOptions(onProgress: ((message: string) => void) | undefined) {
  const timeout = CALL_TIMEOUT_MS;
  return onProgress === undefined
    ? { timeout }
    : { timeout, onprogress: ({ message }: { message?: string | undefined }) => onProgress(message ?? '') };
}

function textOf({ content, isError }: CallToolResult): string {
  const [first] = content;
  const text = first?.type === 'text' ? first.text : '';
  if (isError === true) {
    throw new Error(text);
  }
  return text;
}

function promptText({ messages }: { messages: { content: object }[] }): string {
  return onlyText(messages[0]?.content);
}

function resourceText({ contents }: { contents: object[] }): string {
  return onlyText(contents[0]);
}

function onlyText(part: object = {}): string {
  return 'text' in part ? String(part.text) : '';
}

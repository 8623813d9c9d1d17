import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

/** What an official client's user sees of a URL elicitation, and answers. */
export type OnUrl = (params: { readonly url: string; readonly message: string }) => 'accept' | 'decline';

/** An official client that is connected. */
export interface OfficialClient {
  close(): Promise<void>;
  /** The text that the tool `echo` answered, or the error's code and data. */
  echo(text: string, onProgress?: (message: string) => void): Promise<unknown>;
}

/** One official client in one era. */
export interface OfficialKind {
  readonly name: string;
  readonly codes: { readonly deny: number; readonly approval: number };
  /** Connects; with `onUrl` as a client that can open URLs. */
  readonly connect: (url: string, key: string, onUrl?: OnUrl) => Promise<OfficialClient>;
}

const INFO = { name: 'official', version: '1' };
const optionsOf = (key: string) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } });
const capabilitiesOf = (onUrl: OnUrl | undefined) =>
  onUrl === undefined ? {} : { capabilities: { elicitation: { url: {} } } };

async function connect1(url: string, key: string, onUrl?: OnUrl): Promise<OfficialClient> {
  const client = new Client1(INFO, capabilitiesOf(onUrl));
  if (onUrl !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({
      action: onUrl(params as Parameters<OnUrl>[0]),
    }));
  }
  await client.connect(new Transport1(new URL(url), optionsOf(key)));
  return {
    close: () => client.close(),
    echo: (text, onProgress) =>
      client
        .callTool({ name: 'echo', arguments: { text } }, undefined, {
          onprogress: ({ message }) => onProgress?.(message ?? ''),
        })
        .then(textOf, errorOf),
  };
}

function connect2(mode: 'legacy' | 'auto') {
  return async (url: string, key: string, onUrl?: OnUrl): Promise<OfficialClient> => {
    const client = new Client2(INFO, { ...capabilitiesOf(onUrl), versionNegotiation: { mode } });
    if (onUrl !== undefined) {
      client.setRequestHandler('elicitation/create', async ({ params }) => ({
        action: onUrl(params as Parameters<OnUrl>[0]),
      }));
    }
    await client.connect(new Transport2(new URL(url), optionsOf(key)));
    return {
      close: () => client.close(),
      echo: (text, onProgress) =>
        client
          .callTool({ name: 'echo', arguments: { text } }, { onprogress: ({ message }) => onProgress?.(message ?? '') })
          .then(textOf, errorOf),
    };
  };
}

const legacyCodes = { deny: -32001, approval: -32002 };
/** The official clients of both eras. */
export const officialKinds: readonly OfficialKind[] = [
  { name: 'SDK 1.x', codes: legacyCodes, connect: connect1 },
  { name: 'SDK 2.x in the legacy era', codes: legacyCodes, connect: connect2('legacy') },
  { name: 'SDK 2.x in the modern era', codes: { deny: -31001, approval: -31002 }, connect: connect2('auto') },
];

function textOf(result: unknown): string {
  return (result as { content: { text: string }[] }).content[0]?.text ?? '';
}

function errorOf(error: unknown): unknown {
  const { code, data } = error as { code: unknown; data: Record<string, unknown> };
  return { code, approvalId: data?.['approval_id'], reason: data?.['reason'] };
}

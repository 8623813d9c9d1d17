import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

export type Arguments = Record<string, string | number>;

/** What an official client found behind one URL. */
export interface Findings {
  /** Names of the tools, sorted. */
  readonly tools: readonly string[];
  /** The text of the called tool's first content block. */
  readonly text: string;
  /** The revision that was agreed on, where the client tells. */
  readonly revision: string | undefined;
}

/** Lists the tools behind a URL with an official client and calls one of them. */
export type OfficialClient = (url: string, apiKey: string, tool: string, args: Arguments) => Promise<Findings>;

const CLIENT_INFO = { name: 'e2e', version: '1' };

/** The official TypeScript SDK 1.x, connected. */
export async function connectSdk1(url: string, apiKey: string): Promise<LegacyClient> {
  const client = new LegacyClient(CLIENT_INFO);
  await client.connect(new LegacyTransport(new URL(url), authorized(apiKey)));
  return client;
}

/** The official TypeScript SDK 2.x, connected in the era that it negotiated. */
export async function connectSdk2(url: string, apiKey: string): Promise<ModernClient> {
  const client = new ModernClient(CLIENT_INFO, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new ModernTransport(new URL(url), authorized(apiKey)));
  return client;
}

export const sdk1: OfficialClient = async (url, apiKey, name, args) => {
  const client = await connectSdk1(url, apiKey);
  try {
    const { tools } = await client.listTools();
    const text = textOf(await client.callTool({ name, arguments: args }));
    return { tools: namesOf(tools), text, revision: (client.transport as LegacyTransport).protocolVersion };
  } finally {
    await client.close();
  }
};

export const sdk2: OfficialClient = async (url, apiKey, name, args) => {
  const client = await connectSdk2(url, apiKey);
  try {
    const { tools } = await client.listTools();
    const text = textOf(await client.callTool({ name, arguments: args }));
    return { tools: namesOf(tools), text, revision: client.getNegotiatedProtocolVersion() };
  } finally {
    await client.close();
  }
};

/** The official inspector as a program, in one era. */
export function inspector(era: 'legacy' | 'modern'): OfficialClient {
  return async (url, apiKey, name, args) => {
    const header = `Authorization: Bearer ${apiKey}`;
    const target = ['--cli', url, '--transport', 'http', '--protocol-era', era, '--header', header];
    const pairs = Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`]);
    const listed = await inspect([...target, '--method', 'tools/list']);
    const called = await inspect([...target, '--method', 'tools/call', '--tool-name', name, ...pairs]);
    return { tools: namesOf((listed as { tools: Named[] }).tools), text: textOf(called), revision: undefined };
  };
}

async function inspect(args: readonly string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)('mcp-inspector', args, { maxBuffer: 16 * 1024 * 1024 });
  return JSON.parse(stdout);
}

interface Named {
  readonly name: string;
}

function namesOf(tools: readonly Named[]): readonly string[] {
  return tools.map(({ name }) => name).sort();
}

function textOf(result: unknown): string {
  return (result as { content: { text: string }[] }).content[0]?.text ?? '';
}

function authorized(apiKey: string) {
  return { requestInit: { headers: { authorization: `Bearer ${apiKey}` } } };
}

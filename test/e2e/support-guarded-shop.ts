import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as LegacyHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TSC = join(ROOT, 'node_modules/.bin/tsc');
/** What the examples of the SDK use; npm would fetch it. */
const DEPENDENCIES = ['@bufbuild', '@connectrpc', '@modelcontextprotocol', '@types', 'zod'];

/** A folder of a user: the built SDK is installed, and the examples lie beside it. */
export interface ShopFolder {
  readonly path: string;
  /** The complaints of the compiler about the examples; empty = none. */
  check(): Promise<string>;
  remove(): Promise<void>;
}

/** Builds the SDK and installs it into a new folder, with its examples. */
export async function createShopFolder(): Promise<ShopFolder> {
  const path = await mkdtemp(join(tmpdir(), 'portcullis-shop-'));
  const sdk = join(path, 'node_modules/@portcullis/sdk');
  await promisify(execFile)(TSC, ['-p', join(ROOT, 'sdk'), '--outDir', join(sdk, 'dist')]);
  await cp(join(ROOT, 'sdk/package.json'), join(sdk, 'package.json'));
  await cp(join(ROOT, 'sdk/examples'), path, { recursive: true });
  await writeFile(join(path, 'package.json'), '{"type":"module","private":true}');
  for (const name of DEPENDENCIES) {
    const link = join(path, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), link);
  }
  return {
    path,
    async check() {
      const strict = ['--noEmit', '--strict', '--noUncheckedIndexedAccess'];
      const runtime = ['--module', 'nodenext', '--target', 'es2022', '--skipLibCheck', '--types', 'node'];
      const files = ['shop-mcp-sdk-1.ts', 'shop-mcp-sdk-2.ts'];
      return promisify(execFile)(TSC, [...files, ...strict, ...runtime], { cwd: path }).then(
        ({ stdout }) => stdout,
        ({ stdout }: { stdout: string }) => stdout,
      );
    },
    remove: () => rm(path, { recursive: true }),
  };
}

export interface ShopOptions {
  readonly folder: ShopFolder;
  readonly portcullisUrl: string;
  readonly portcullisApiKey: string;
  readonly onError?: 'deny' | 'allow';
}

/** The answer of the tool, in short. */
export interface Refund {
  readonly order: string;
  readonly isError: boolean;
  readonly text: string;
}

/** An example server in a process of its own, with an official client that is connected to it. */
export interface Shop {
  refund(order: string, amount: unknown): Promise<Refund>;
  /** The orders for which the handler ran. */
  refunded(): readonly string[];
  /** What `onDenied` was told. */
  denied(): readonly string[];
  stop(): Promise<void>;
}

/** The pairs of an example server and an official client. */
export const SHOPS = {
  'a server with the MCP SDK 1.x and its client': (options: ShopOptions) => startStdioShop(options, connectLegacyStdio),
  'a server with the MCP SDK 1.x and a client of 2.x': (options: ShopOptions) =>
    startStdioShop(options, connectModernStdio),
  'a server with the MCP SDK 2.x and its client': (options: ShopOptions) => startHttpShop(options, connectModernHttp),
  'a server with the MCP SDK 2.x and a client of 1.x': (options: ShopOptions) =>
    startHttpShop(options, connectLegacyHttp),
} as const;

type Caller = Pick<LegacyClient | ModernClient, 'callTool' | 'close'>;
type StdioTransport = LegacyStdio | ModernStdio;

const INFO = { name: 'guard-test', version: '1' };

async function connectLegacyStdio(transport: StdioTransport): Promise<Caller> {
  const client = new LegacyClient(INFO);
  await client.connect(transport);
  return client;
}

async function connectModernStdio(transport: StdioTransport): Promise<Caller> {
  const client = new ModernClient(INFO, { versionNegotiation: { mode: 'auto' } });
  await client.connect(transport);
  return client;
}

async function connectLegacyHttp(url: URL): Promise<Caller> {
  const client = new LegacyClient(INFO);
  await client.connect(new LegacyHttp(url));
  return client;
}

async function connectModernHttp(url: URL): Promise<Caller> {
  const client = new ModernClient(INFO, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new ModernHttp(url));
  return client;
}

async function startStdioShop(options: ShopOptions, connect: (transport: StdioTransport) => Promise<Caller>) {
  const Transport = connect === connectLegacyStdio ? LegacyStdio : ModernStdio;
  const transport = new Transport({
    command: process.execPath,
    args: [join(options.folder.path, 'shop-mcp-sdk-1.ts')],
    env: envOf(options),
    stderr: 'pipe',
  });
  const lines = readLines(transport.stderr as Readable);
  const client = await connect(transport);
  return shopOf(client, lines, async () => {});
}

async function startHttpShop(options: ShopOptions, connect: (url: URL) => Promise<Caller>): Promise<Shop> {
  const child = spawn(process.execPath, [join(options.folder.path, 'shop-mcp-sdk-2.ts')], {
    env: { ...envOf(options), PORT: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines = readLines(child.stderr);
  const url = await lines.find(/^listening on (.+)$/, child);
  const client = await connect(new URL(url));
  return shopOf(client, lines, async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) {
      await new Promise((resolve) => child.once('close', resolve));
    }
  });
}

function envOf({ portcullisUrl, portcullisApiKey, onError = 'deny' }: ShopOptions): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    PORTCULLIS_URL: portcullisUrl,
    PORTCULLIS_API_KEY: portcullisApiKey,
    SHOP_ON_ERROR: onError,
  };
}

function readLines(stream: Readable) {
  const all: string[] = [];
  const reader = createInterface({ input: stream }).on('line', (line) => all.push(line));
  return {
    all,
    /** What the group of the first line that matches holds. */
    find: (pattern: RegExp, child: ChildProcess) =>
      new Promise<string>((resolve, reject) => {
        reader.on('line', (line) => {
          const found = pattern.exec(line)?.[1];
          if (found !== undefined) resolve(found);
        });
        child.once('close', () => reject(new Error(`the example ended:\n${all.join('\n')}`)));
      }),
  };
}

function shopOf(client: Caller, { all }: { all: readonly string[] }, end: () => Promise<void>): Shop {
  const linesWith = (prefix: string) =>
    all.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
  return {
    async refund(order, amount) {
      const result = await client.callTool({ name: 'refund', arguments: { order, amount } });
      const { isError = false, content } = result as { isError?: boolean; content: { text: string }[] };
      return { order, isError, text: content[0]?.text ?? '' };
    },
    refunded: () => linesWith('refunded '),
    denied: () => linesWith('denied '),
    async stop() {
      await client.close();
      await end();
    },
  };
}

import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from '@modelcontextprotocol/client';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, vi } from 'vitest';
import type { Gateway, GatewayUpstream } from '../../src/domain/gateway.ts';
import type { PolicyId } from '../../src/domain/ids.ts';
import { type CallPattern, defaultApprovalSettings, type Policy } from '../../src/domain/policy.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import { type McpGateway, type McpGatewayOptions, startMcpGateway } from './mcp-gateway.ts';
import { PROJECT } from './memory-config.ts';
import { gatewayOf, openShop, type Shop, type ShopKind } from './shops.ts';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Done after the test, in the opposite order. */
export function cleanUpLater(...given: (() => Promise<unknown>)[]): void {
  cleanUps.push(...given);
}

/** An upstream of the mall, with what the gateway says about it. */
export interface Unit {
  readonly kind: ShopKind;
  readonly entry?: Partial<GatewayUpstream>;
  readonly changes?: Partial<Upstream>;
}

export interface MallOptions extends Omit<McpGatewayOptions, 'upstreams' | 'gateways'> {
  readonly gateway?: Partial<Gateway>;
}

export interface Mall {
  readonly gateway: McpGateway;
  /** In the order of the units. */
  readonly shops: readonly Shop[];
  /** The endpoint of the gateway `mall`. */
  readonly url: string;
}

/** A gateway `mall` of these upstreams, which are called s1, s2 and so on. */
export async function openMall(units: readonly (ShopKind | Unit)[], options: MallOptions = {}): Promise<Mall> {
  const all = units.map((unit) => (typeof unit === 'string' ? { kind: unit } : unit));
  const shops = await Promise.all(all.map(({ kind, changes }: Unit, at) => openShop(`s${at + 1}`, kind, changes)));
  cleanUps.push(...shops.map(({ stop }) => stop));
  const upstreams = shops.map(({ upstream }) => upstream);
  const entries = upstreams.map(({ slug }, at) => ({ slug, ...(all[at] as Unit).entry }));
  const gateways = [gatewayOf('mall', entries, options.gateway)];
  const gateway = await startMcpGateway({ ...options, upstreams, gateways });
  cleanUps.push(gateway.stop);
  return { gateway, shops, url: gateway.urlOf('mall') };
}

/** What the official clients have in common. */
export type AnyClient = Pick<
  Client1,
  | 'listPrompts'
  | 'listResources'
  | 'listResourceTemplates'
  | 'getPrompt'
  | 'readResource'
  | 'complete'
  | 'getServerCapabilities'
> & {
  tools(): Promise<string[]>;
  call(name: string, args?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
};

/** An official client of one era. */
export interface ClientKind {
  readonly name: string;
  readonly era: 'legacy' | 'modern';
  connect(url: string, key?: string): Promise<AnyClient>;
}

const INFO = { name: 'test', version: '1' };
const optionsOf = (key: string) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } });

async function connect1(url: string, key = 'alice'): Promise<AnyClient> {
  const client = new Client1(INFO);
  await client.connect(new Transport1(new URL(url), optionsOf(key)));
  return known(client);
}

/** Connects a client of the official SDK 2.x. */
export async function connect2(url: string, mode: 'legacy' | 'auto', key = 'alice'): Promise<Client2> {
  const client = new Client2(INFO, { versionNegotiation: { mode } });
  await client.connect(new Transport2(new URL(url), optionsOf(key)));
  cleanUps.push(() => client.close());
  return client;
}

function known(client: Client1): AnyClient {
  cleanUps.push(() => client.close());
  return Object.assign(client, {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name: string, args: Record<string, unknown> = {}) =>
      textOf(await client.callTool({ name, arguments: args })),
  });
}

/** The official clients of both eras. */
export const CLIENTS: readonly ClientKind[] = [
  { name: 'SDK 1.x', era: 'legacy', connect: connect1 },
  {
    name: 'SDK 2.x in the legacy era',
    era: 'legacy',
    connect: async (url, key) => known((await connect2(url, 'legacy', key)) as unknown as Client1),
  },
  {
    name: 'SDK 2.x in the modern era',
    era: 'modern',
    connect: async (url, key) => known((await connect2(url, 'auto', key)) as unknown as Client1),
  },
];

/** The text of a tool's result, after `error: ` when it is one. */
export function textOf(result: unknown): string {
  const { content, isError } = result as { content: { text: string }[]; isError?: boolean };
  return `${isError === true ? 'error: ' : ''}${content[0]?.text ?? ''}`;
}

/** Resolves when it is so; the test's own time limit ends the wait. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(isSo, { timeout: 20_000, interval: 10 });
}

/** A policy that denies what its pattern matches. */
export function denyPolicy(target: CallPattern): Policy {
  return {
    id: 'policy-deny' as PolicyId,
    projectId: PROJECT.id,
    slug: 'deny',
    content: {
      displayName: '',
      priority: 0,
      mode: 'enforce',
      subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
      targets: [target],
      rules: [{ id: 'never', message: 'Never.', says: { kind: 'effect', effect: 'deny' } }],
      approval: defaultApprovalSettings,
    },
    version: 1,
    latestVersion: 1,
    revision: 1,
    createTime: 0,
    updateTime: 0,
  };
}

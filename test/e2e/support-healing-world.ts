import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { GatewayOptions, GatewayProcess } from '../support/gateway-process.ts';
import { sse, stdio, streamableHttp } from './support-api.ts';
import { type ChattyClient, connectChatty } from './support-chatty-clients.ts';
import { CHATTY_PROGRAM, CHATTY_TOOLS } from './support-chatty-upstream.ts';
import type { CleanUp } from './support-clean-up.ts';
import { EVERYTHING } from './support-known-tools.ts';
import { callerOf } from './support-mcp-session.ts';
import { operatorOf } from './support-policies.ts';
import {
  chattyProgram,
  everythingOverSse,
  startUpstreamProcess,
  type UpstreamProcess,
} from './support-upstream-process.ts';

/** The upstreams behind the gateway `all`, by their slugs. */
export const SLUGS = ['files', 'old', 'new', 'events', 'local'] as const;
export type Slug = (typeof SLUGS)[number];

/** A gateway of upstreams over every transport and of both eras, those over HTTP in processes that can be killed. */
export interface HealingWorld {
  readonly gateway: GatewayProcess;
  /** `old` and `new` are chatty in the legacy and the modern era, `events` is server-everything over SSE. */
  readonly processes: Readonly<Record<'old' | 'new' | 'events', UpstreamProcess>>;
  /** Connects an official client of each era to a gateway's slug, so many times. */
  connect(times?: number, slug?: string): Promise<ChattyClient[]>;
  /** Starts the gateway again after it was ended. */
  restart(): Promise<GatewayProcess>;
}

const tools: Readonly<Record<Slug, readonly string[]>> = {
  files: EVERYTHING,
  old: CHATTY_TOOLS,
  new: CHATTY_TOOLS,
  events: EVERYTHING,
  local: [...CHATTY_TOOLS, 'die'],
};

/** Names of all tools of these upstreams, sorted. */
export function toolsOf(slugs: readonly Slug[]): string[] {
  return slugs.flatMap((slug) => tools[slug].map((tool) => `${slug}_${tool}`)).sort();
}

/** Calls a tool of the upstream; throws when the answer is not that of the call. */
export async function callAt(client: ChattyClient, slug: Slug, text: string): Promise<void> {
  const isEverything = tools[slug] === EVERYTHING;
  const answer = await (isEverything
    ? client.call(`${slug}_echo`, { message: text })
    : client.call(`${slug}_plain`, { text }));
  if (answer !== (isEverything ? `Echo: ${text}` : `plain: ${text}`)) {
    throw new Error(`got '${answer}' for '${text}'`);
  }
}

/** Starts everything; `files` is server-everything over stdio, `local` is chatty there. */
export async function createHealingWorld(cleanUp: CleanUp, options: GatewayOptions = {}): Promise<HealingWorld> {
  const env = {
    GATEWAY_STDIO_COMMANDS: `mcp-server-everything,${process.execPath}`,
    GATEWAY_DEMO_UPSTREAM: 'false',
    ...options.env,
  };
  const start = () => cleanUp.startGateway({ ...options, env });
  const gateway = await start();
  const [old, modern, events] = await Promise.all([
    cleanUp.add(startUpstreamProcess(chattyProgram), ({ kill }) => kill()),
    cleanUp.add(startUpstreamProcess(chattyProgram), ({ kill }) => kill()),
    cleanUp.add(startUpstreamProcess(everythingOverSse), ({ kill }) => kill()),
  ]);
  const { upstreams, gateways } = await operatorOf(gateway);
  const at = ({ port }: UpstreamProcess, path: string) => `http://127.0.0.1:${port}/${path}`;
  const local = stdio(process.execPath, [CHATTY_PROGRAM]);
  await upstreams.createUpstream({ slug: 'files', transport: stdio('mcp-server-everything', ['stdio']) });
  await upstreams.createUpstream({ slug: 'old', era: Era.LEGACY, transport: streamableHttp(at(old, 'legacy')) });
  await upstreams.createUpstream({ slug: 'new', era: Era.MODERN, transport: streamableHttp(at(modern, 'modern')) });
  await upstreams.createUpstream({ slug: 'events', transport: sse(at(events, 'sse')) });
  await upstreams.createUpstream({ slug: 'local', era: Era.LEGACY, transport: local });
  await gateways.createGateway({ slug: 'all', upstreams: SLUGS.map((slug) => ({ slug })) });
  return {
    gateway,
    processes: { old, new: modern, events },
    restart: start,
    connect(times = 1, slug = 'all') {
      const { url, apiKey } = callerOf(gateway, slug);
      const eras = Array.from({ length: times }, () => ['legacy', 'modern'] as const).flat();
      return Promise.all(
        eras.map((era) => cleanUp.add(connectChatty({ url, apiKey, era }), (client) => client.close())),
      );
    },
  };
}

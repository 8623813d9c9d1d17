import { type Client, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { AgentService } from '../../gen/portcullis/v1/agent_service_pb.ts';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { ApprovalService } from '../../gen/portcullis/v1/approval_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { GatewayService } from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { StatsService } from '../../gen/portcullis/v1/stats_service_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { UpstreamTemplateService } from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import { type CredentialOptions, findCredentialSource } from './credentials.ts';
import { throwEdgeRefusals } from './edge-refusal.ts';
import { createGuardedTransport } from './guarded-transport.ts';

/** One client a service; every method takes a request and Connect's call options (`signal`, `timeoutMs`, `headers`). */
export interface PortcullisClient {
  readonly projects: Client<typeof ProjectService>;
  readonly auth: Client<typeof AuthService>;
  readonly apiKeys: Client<typeof ApiKeyService>;
  readonly agents: Client<typeof AgentService>;
  readonly upstreams: Client<typeof UpstreamService>;
  readonly upstreamTemplates: Client<typeof UpstreamTemplateService>;
  readonly gateways: Client<typeof GatewayService>;
  readonly tools: Client<typeof ToolService>;
  readonly policies: Client<typeof PolicyService>;
  readonly approvals: Client<typeof ApprovalService>;
  readonly decisions: Client<typeof DecisionService>;
  readonly stats: Client<typeof StatsService>;
}

/** How to reach the gateway over HTTP. */
export interface HttpOptions {
  /** Such as `https://portcullis.example.com`; in browsers a path such as `/` too. */
  readonly baseUrl: string;
  /** Used instead of the global fetch. */
  readonly fetch?: typeof globalThis.fetch;
  /** How messages are encoded; `binary` by default, `json` can be read in a browser's network tab. */
  readonly format?: 'binary' | 'json';
  readonly transport?: never;
}

/** A Connect transport of one's own, such as gRPC from connect-node, in place of HTTP with fetch. */
export interface TransportOptions {
  readonly transport: Transport;
  readonly baseUrl?: never;
  readonly fetch?: never;
  readonly format?: never;
}

export type ConnectionOptions = (HttpOptions | TransportOptions) & {
  /** Deadline of each call in milliseconds, unless the call sets its own; 120,000 by default, 0 = none. Streams have none. */
  readonly timeoutMs?: number;
};

export type PortcullisClientOptions = ConnectionOptions & CredentialOptions;

const DEFAULT_TIMEOUT_MS = 120_000;

/**
 * Makes the clients of a gateway; nothing is sent yet. Every call throws a PortcullisError when it fails. Throws a TypeError for options
 * that can't work.
 */
export function createPortcullisClient(options: PortcullisClientOptions): PortcullisClient {
  const transport = createGuardedTransport(options.transport ?? createHttpTransport(options), {
    credentials: findCredentialSource(options),
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  });
  return {
    projects: createClient(ProjectService, transport),
    auth: createClient(AuthService, transport),
    apiKeys: createClient(ApiKeyService, transport),
    agents: createClient(AgentService, transport),
    upstreams: createClient(UpstreamService, transport),
    upstreamTemplates: createClient(UpstreamTemplateService, transport),
    gateways: createClient(GatewayService, transport),
    tools: createClient(ToolService, transport),
    policies: createClient(PolicyService, transport),
    approvals: createClient(ApprovalService, transport),
    decisions: createClient(DecisionService, transport),
    stats: createClient(StatsService, transport),
  };
}

function createHttpTransport({ baseUrl, fetch = globalThis.fetch, format = 'binary' }: HttpOptions): Transport {
  if (!/^(https?:\/\/|\/)/.test(baseUrl)) {
    throw new TypeError(`The baseUrl '${baseUrl}' must begin with http:// or https://, or in browsers with a slash.`);
  }
  return createConnectTransport({
    baseUrl,
    fetch: throwEdgeRefusals(fetch),
    useBinaryFormat: format === 'binary',
    useHttpGet: true,
  });
}

import type { DescService } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type ConnectRouterOptions } from '@connectrpc/connect';
import { file_google_rpc_error_details } from '../../gen/google/rpc/error_details_pb.ts';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { AgentService } from '../../gen/portcullis/v1/agent_service_pb.ts';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { ApprovalService } from '../../gen/portcullis/v1/approval_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { file_portcullis_v1_error_reason } from '../../gen/portcullis/v1/error_reason_pb.ts';
import { GatewayService } from '../../gen/portcullis/v1/gateway_service_pb.ts';
import { PolicyService } from '../../gen/portcullis/v1/policy_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { StatsService } from '../../gen/portcullis/v1/stats_service_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { UpstreamTemplateService } from '../../gen/portcullis/v1/upstream_template_service_pb.ts';
import type { HotConfig } from '../snapshot/hot-config.ts';
import { createOperatorCheck } from './access.ts';
import { createAgentService } from './agent-service.ts';
import { createApiKeyService } from './api-key-service.ts';
import { type ApprovalServiceDeps, createApprovalService } from './approval-service.ts';
import { type AuthServiceDeps, createAuthService } from './auth-service.ts';
import { createDecisionService, type DecisionServiceDeps } from './decision-service.ts';
import { createGatewayService } from './gateway-service.ts';
import { createHealthService } from './health-service.ts';
import { createInterceptors, createRequestGate } from './interceptors.ts';
import { createPaging } from './paging.ts';
import { createPolicyService, type PolicyServiceDeps } from './policy-service.ts';
import { createProjectService } from './project-service.ts';
import { createReflectionService } from './reflection.ts';
import { createSchemaFiles } from './schema-files.ts';
import { createShippedTemplates } from './shipped-templates.ts';
import { createStatsService, type StatsServiceDeps } from './stats-service.ts';
import { createToolService, type ToolServiceDeps } from './tool-service.ts';
import { createUpstreamService, type UpstreamServiceDeps } from './upstream-service.ts';
import { createUpstreamTemplateService } from './upstream-template-service.ts';

/** Everything the API works with; made once in main. */
export type ApiRoutesDeps = Omit<
  AuthServiceDeps &
    UpstreamServiceDeps &
    ToolServiceDeps &
    PolicyServiceDeps &
    ApprovalServiceDeps &
    StatsServiceDeps &
    DecisionServiceDeps,
  'paging' | 'decisions' | 'isOperator' | 'upstreams' | 'shippedTemplates'
> & {
  readonly config: Pick<HotConfig, 'getProject' | 'getPolicies' | 'upstreams'>;
  /** Throws `unavailable` while this replica cannot read what was changed. */
  readonly requireFreshConfig: () => void;
  /** True while requests can be answered; never throws. */
  readonly readiness: () => boolean | Promise<boolean>;
};

export interface ApiLimits {
  /** Largest request message in bytes; 1 MiB by default. */
  readonly maxRequestBytes?: number;
  /** Aborted when the process stops, so that streams end; their callers are told that the server is unavailable. */
  readonly shutdownSignal?: AbortSignal;
}

/** The API as a Connect adapter takes it. */
export interface ApiRoutes {
  readonly routes: (router: ConnectRouter) => void;
  /** Belong to the routes: without them nothing is checked. */
  readonly options: ConnectRouterOptions;
}

/** The services of `portcullis.v1`. */
export const SERVICES: readonly DescService[] = [
  ProjectService,
  AuthService,
  ApiKeyService,
  UpstreamService,
  UpstreamTemplateService,
  GatewayService,
  AgentService,
  PolicyService,
  ApprovalService,
  ToolService,
  StatsService,
  DecisionService,
];

const MIB = 1024 * 1024;
/** Longest deadline that a client may ask for; streams have none unless the client sets one. */
const MAX_TIMEOUT_MS = 24 * 3600 * 1000;

/** Makes the whole API: every service, reflection and health, with what every request passes. */
export function createApiRoutes(deps: ApiRoutesDeps, limits: ApiLimits = {}): ApiRoutes {
  const shared = {
    ...deps,
    paging: createPaging(deps.box),
    decisions: deps.store.log,
    isOperator: createOperatorCheck(deps.config),
    upstreams: deps.config.upstreams,
    shippedTemplates: createShippedTemplates(),
  };
  // Made once, also when several adapters take the routes: it counts the simulations that run.
  const policyService = createPolicyService(shared);
  const served = [...SERVICES, Health, ServerReflection];
  const schema = createSchemaFiles(served, [file_google_rpc_error_details, file_portcullis_v1_error_reason]);
  return {
    routes: (router) =>
      router
        .service(ProjectService, createProjectService(shared))
        .service(AuthService, createAuthService(shared))
        .service(ApiKeyService, createApiKeyService(shared))
        .service(UpstreamService, createUpstreamService(shared))
        .service(UpstreamTemplateService, createUpstreamTemplateService(shared))
        .service(GatewayService, createGatewayService(shared))
        .service(AgentService, createAgentService(shared))
        .service(PolicyService, policyService)
        .service(ApprovalService, createApprovalService(shared))
        .service(ToolService, createToolService(shared))
        .service(StatsService, createStatsService(shared))
        .service(DecisionService, createDecisionService(shared))
        .service(Health, createHealthService({ readiness: deps.readiness, serviceNames: schema.services }))
        .service(ServerReflection, createReflectionService(schema)),
    options: {
      requestGate: createRequestGate(shared),
      interceptors: createInterceptors(shared),
      readMaxBytes: limits.maxRequestBytes ?? MIB,
      maxTimeoutMs: MAX_TIMEOUT_MS,
      jsonOptions: { ignoreUnknownFields: false },
      ...(limits.shutdownSignal === undefined ? {} : { shutdownSignal: toStopSignal(limits.shutdownSignal) }),
    },
  };
}

/** Handlers see the reason of the signal as the error of their stream. */
function toStopSignal(signal: AbortSignal): AbortSignal {
  const stop = new AbortController();
  const abort = () => stop.abort(new ConnectError('The server is stopping. Connect again.', Code.Unavailable));
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) {
    abort();
  }
  return stop.signal;
}

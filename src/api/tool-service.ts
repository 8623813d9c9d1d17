import type { JsonObject } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { CallToolRequest, ListToolsRequest, ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import type { Principal } from '../domain/principal.ts';
import type { AuthorizeRequest, AuthorizeResult } from '../pipeline/authorize.ts';
import type { OfferedTool } from '../pipeline/tool-calls.ts';
import { toAuthorizeMessage } from './authorize-message.ts';
import { checkNumbers, measureArguments } from './call-arguments.ts';
import { getCaller, getRequestFacts, reauthenticate } from './context.ts';
import type { Paging } from './paging.ts';
import { nameOf } from './reference.ts';
import { toCallToolMessage, toToolMessage } from './tool-message.ts';
import { cutToolPage } from './tool-pages.ts';

/** What has the tools: an upstream or a gateway, and never the other kind of the same name. */
interface ToolTarget {
  readonly kind: 'upstream' | 'gateway';
  /** Id or address. */
  readonly name: string;
}

/** Who asks for tools, of what, and on which request. */
interface ToolRequest {
  readonly principal: Principal;
  readonly target: ToolTarget;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

interface ToolCallRequest extends ToolRequest {
  /** Checks the credential once more, for a call that waited; throws as at the beginning. */
  readonly authenticate: () => Principal | Promise<Principal>;
  readonly name: string;
  readonly arguments: JsonObject;
}

/** The path of a call, for this face. */
export interface ToolCalls {
  /** The tools that may be called as far as filter and rules tell. */
  listTools(request: ToolRequest): Promise<readonly OfferedTool[]>;
  /**
   * `result` is the parsed result of `tools/call`. Refusals, and JSON-RPC errors of the upstream, are GatewayErrors whose metadata have
   * `call_id` and, as they apply, `rule`, `approval_id` and `expires_at`.
   */
  callTool(request: ToolCallRequest): Promise<{ readonly callId: string; readonly result: unknown }>;
  /** Decides a call that is made elsewhere; throws only what keeps it from being decided. */
  authorize(request: AuthorizeRequest): Promise<AuthorizeResult>;
}

export interface ToolServiceDeps {
  readonly paging: Paging;
  readonly calls: ToolCalls;
}

/** Serves ToolService. */
export function createToolService({ paging, calls }: ToolServiceDeps): ServiceImpl<typeof ToolService> {
  return {
    async listTools(request, { values, signal }) {
      const principal = getCaller(values);
      const target = targetOf(request);
      const scope = { method: 'ListTools', caller: principal, filter: [target.kind, target.name] };
      const page = await paging.open(scope, request);
      const all = await calls.listTools({ principal, target, requestId: getRequestFacts(values).requestId, signal });
      const { tools, last } = cutToolPage(all, page);
      return { tools: tools.map(toToolMessage), nextPageToken: await paging.next(scope, last) };
    },
    async callTool(request, { values, signal }) {
      const { callId, result } = await calls.callTool({
        principal: getCaller(values),
        authenticate: () => reauthenticate(values),
        target: targetOf(request),
        name: request.name,
        arguments: checkNumbers(request.arguments ?? {}),
        requestId: getRequestFacts(values).requestId,
        signal,
      });
      return toCallToolMessage(callId, result);
    },
    async authorize(request, context) {
      const args = checkNumbers(request.arguments ?? {});
      const answer = await calls.authorize({
        principal: getCaller(context.values),
        authenticate: () => reauthenticate(context.values),
        agent: nameOf(request.agent),
        tool: request.tool,
        arguments: args,
        requestBytes: measureArguments(args),
        session: request.session,
        upstream: request.upstream,
        approvalWaitMs: request.approvalWait === undefined ? 0 : durationMs(request.approvalWait),
        requestId: getRequestFacts(context.values).requestId,
        // Made when it is asked for, and only who waits for a human asks.
        get signal() {
          return context.signal;
        },
      });
      return toAuthorizeMessage(answer);
    },
  };
}

/** The schema demands one of the two. */
function targetOf({ upstream, gateway }: ListToolsRequest | CallToolRequest): ToolTarget {
  return gateway === undefined
    ? { kind: 'upstream', name: nameOf(upstream) }
    : { kind: 'gateway', name: nameOf(gateway) };
}

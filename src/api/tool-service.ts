import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import type { Principal } from '../domain/principal.ts';
import type { ToolDefinition } from '../upstream/tool-definition.ts';
import { getCaller, getRequestFacts } from './context.ts';
import type { Paging } from './paging.ts';
import { toCallToolMessage, toToolMessage } from './tool-message.ts';
import { cutToolPage } from './tool-pages.ts';
import { nameOf } from './upstream-access.ts';
import { createValidationError } from './validation.ts';

/** Who asks for tools, of what, and on which request. */
interface ToolRequest {
  readonly principal: Principal;
  /** Slug or id, as the caller wrote it. */
  readonly upstream: string;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/** The path of a call, for this face. Both throw GatewayErrors for refusals, with `call_id` (and `rule`) in the metadata. */
export interface ToolCalls {
  /** The tools that may be called as far as filter and rules tell. */
  listTools(request: ToolRequest): Promise<readonly ToolDefinition[]>;
  /** `result` is the parsed result of `tools/call`; a JSON-RPC error of the upstream is a GatewayError. */
  callTool(
    request: ToolRequest & { readonly name: string; readonly arguments: JsonObject },
  ): Promise<{ readonly callId: string; readonly result: unknown }>;
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
      const upstream = nameOf(request.upstream);
      const scope = { method: 'ListTools', caller: principal, filter: [upstream] };
      const page = await paging.open(scope, request);
      const all = await calls.listTools({ principal, upstream, requestId: getRequestFacts(values).requestId, signal });
      const { tools, last } = cutToolPage(all, page);
      return { tools: tools.map(toToolMessage), nextPageToken: await paging.next(scope, last) };
    },
    async callTool(request, { values, signal }) {
      const { requestId } = getRequestFacts(values);
      const args = request.arguments ?? {};
      checkNumbers(args);
      const call = { principal: getCaller(values), upstream: nameOf(request.upstream), requestId, signal };
      const { callId, result } = await calls.callTool({ ...call, name: request.name, arguments: args });
      return toCallToolMessage(callId, result);
    },
  };
}

/** A binary Struct can hold numbers that JSON has no form for; they would silently become null. */
function checkNumbers(value: JsonValue): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw createValidationError([{ field: 'arguments', description: 'must not hold NaN or infinite numbers' }]);
  }
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(checkNumbers);
  }
}

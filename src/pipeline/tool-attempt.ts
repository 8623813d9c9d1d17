import type { OutcomeStatus } from '../domain/decision.ts';
import { GatewayError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { type OwnClient, UpstreamRpcError } from '../upstream/own-client.ts';
import type { Forward } from './call.ts';

export interface AttemptOptions {
  /** Longest silence of the upstream, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One call of a tool with the gateway as the upstream's client: how it is forwarded, and afterwards what it gave. */
export function createAttempt(client: OwnClient, { timeoutMs, signal }: AttemptOptions) {
  let outcome: { readonly result: JsonObject } | { readonly error: unknown } | undefined;

  const forward: Forward = async ({ upstream, principal, tool, arguments: args }, committed) => {
    const params = { name: tool, arguments: args };
    outcome = await client.request(upstream, principal, 'tools/call', params, { signal, timeoutMs }).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    await committed;
    return 'result' in outcome
      ? { status: statusOfResult(outcome.result), responseBytes: JSON.stringify(outcome.result).length }
      : { status: statusOfError(outcome.error), responseBytes: 0 };
  };

  function result(metadata: Readonly<Record<string, string>>): JsonObject {
    if (outcome !== undefined && 'result' in outcome) {
      return outcome.result;
    }
    return throwFailure(outcome?.error, metadata);
  }

  return { forward, result };
}

/** Throws what went wrong at the upstream as a GatewayError with these metadata. */
export function throwFailure(error: unknown, metadata: Readonly<Record<string, string>>): never {
  if (error instanceof UpstreamRpcError) {
    const message = `The upstream answered with the error ${error.code}: ${error.message}`;
    throw new GatewayError('bad_gateway', message, {
      metadata: { ...metadata, rpc_code: String(error.code) },
      cause: error,
    });
  }
  if (error instanceof GatewayError) {
    const { retryAfterMs } = error;
    throw new GatewayError(error.reason, error.message, {
      metadata: { ...error.metadata, ...metadata },
      cause: error.cause,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  throw error;
}

function statusOfResult(result: JsonObject): OutcomeStatus {
  if (result['resultType'] === 'input_required') {
    return 'input_required';
  }
  return result['isError'] === true ? 'tool_error' : 'ok';
}

function statusOfError(error: unknown): OutcomeStatus {
  if (error instanceof UpstreamRpcError) {
    return 'rpc_error';
  }
  const reason = error instanceof GatewayError ? error.reason : undefined;
  return reason === 'upstream_timeout' ? 'timeout' : reason === 'canceled' ? 'canceled' : 'upstream_error';
}

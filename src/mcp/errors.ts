import { GatewayError } from '../domain/errors.ts';
import type { Era } from '../domain/upstream.ts';
import type { JsonRpcId } from './json-rpc.ts';

/** A JSON-RPC error object as it goes to a client. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** JSON text of an error response. `id` null only where the request's id could not be read. */
export function errorResponse(id: JsonRpcId | null, error: RpcError): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error });
}

interface RefusalCodes {
  readonly deny: number;
  readonly approval: number;
}

/**
 * Codes of refusals by era: revision 2026-07-28 forbids -32002 and discourages its whole range (basic, section Error Codes), so its
 * clients get codes outside of what JSON-RPC reserves.
 */
export const refusalCodes: Readonly<Record<Era, RefusalCodes>> = {
  legacy: { deny: -32001, approval: -32002 },
  modern: { deny: -31001, approval: -31002 },
};

/** The JSON-RPC error for a call that failed after it was decided; what the client did not cause is told in general terms. */
export function failureOf(error: unknown): RpcError {
  if (!(error instanceof GatewayError)) {
    return { code: -32603, message: 'the gateway failed to handle the call; its log tells why' };
  }
  return { code: -32603, message: error.message, data: { reason: error.reason, ...error.metadata } };
}

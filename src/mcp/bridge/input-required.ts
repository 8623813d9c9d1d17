import { GatewayError } from '../../domain/errors.ts';
import { isObject, type JsonObject } from '../../upstream/message.ts';
import { nameFields } from '../envelope.ts';
import { capabilityText, findLacking, isAskingMethod } from './client-capabilities.ts';
import { badMessage, type Leg } from './leg.ts';

/** A request of a modern upstream to a client. */
export interface InputRequest {
  readonly key: string;
  readonly method: string;
  /** Absent where the upstream sent none. */
  readonly params: JsonObject | undefined;
}

/** What a modern upstream wants before it goes on. */
export interface InputRequired {
  readonly requests: readonly InputRequest[];
  readonly requestState: string | undefined;
}

/** Requests of one round. */
const MAX_REQUESTS = 100;

/** True for a result that asks for input. */
export function isInputRequired(result: JsonObject): boolean {
  return result['resultType'] === 'input_required';
}

/**
 * Reads an `input_required` result (specification 2026-07-28, basic/patterns/mrtr).
 *
 * @throws GatewayError `bad_gateway` for one that breaks the specification, `failed_precondition` for what the client cannot be asked
 */
export function readInputRequired(leg: Leg, capabilities: JsonObject, result: JsonObject): InputRequired {
  const { inputRequests, requestState } = result;
  const isSound =
    nameFields.has(leg.request.post.message.method) &&
    (inputRequests === undefined || isObject(inputRequests)) &&
    (requestState === undefined || typeof requestState === 'string') &&
    (inputRequests !== undefined || requestState !== undefined);
  const entries = Object.entries(isObject(inputRequests) ? inputRequests : {});
  if (!isSound || entries.length > MAX_REQUESTS) {
    throw malformed(leg);
  }
  const requests = entries.map(([key, value]) => readRequest(leg, key, value));
  for (const { method, params } of requests) {
    const lacking = findLacking(capabilities, method, params ?? {});
    if (lacking !== undefined) {
      const { slug } = leg.request.upstream;
      const message = `The upstream "${slug}" needs what the client does not support: ${capabilityText(lacking)}.`;
      throw new GatewayError('failed_precondition', message);
    }
  }
  return { requests, requestState: typeof requestState === 'string' ? requestState : undefined };
}

function readRequest(leg: Leg, key: string, value: unknown): InputRequest {
  const { method, params } = isObject(value) ? value : {};
  if (!isAskingMethod(method) || !(params === undefined || isObject(params))) {
    throw malformed(leg);
  }
  return { key, method, params };
}

function malformed(leg: Leg): GatewayError {
  return badMessage(leg, 'asked for input in a way that the protocol does not know. Its maker can tell why.');
}

import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { ChannelClient } from './channel.ts';
import { sharingOf } from './channel-key.ts';
import { initializeParamsFor } from './gateway-client.ts';
import { isObject, type JsonObject } from './message.ts';
import type { Multiplexer } from './multiplexer.ts';
import { GATEWAY_CLIENT } from './routes.ts';

/**
 * Opens the conversation with a legacy upstream, with what the first client said; resolves with the upstream's result (specification
 * 2025-11-25, basic/lifecycle, section Initialization). Rejects with `bad_gateway` when it refuses, else as a request does.
 */
export async function initialize(
  multiplexer: Multiplexer,
  upstream: Upstream,
  client: ChannelClient,
): Promise<JsonObject> {
  const params = initializeParamsFor(client, sharingOf(upstream));
  const request = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
  const options = { client: GATEWAY_CLIENT, signal: new AbortController().signal, onMessage: () => undefined };
  const { result, error } = await multiplexer.request(request, options);
  if (!isObject(result)) {
    const reason = isObject(error) ? String(error['message']) : 'its answer has no result';
    throw new GatewayError('bad_gateway', `The upstream "${upstream.slug}" refused the initialization: ${reason}`);
  }
  await multiplexer.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return result;
}

import type { IncomingHttpHeaders } from 'node:http';
import type { Upstream } from '../domain/upstream.ts';
import { BodyReader } from './body-reader.ts';
import { MAX_MESSAGE_BYTES } from './connection.ts';
import { tooLarge } from './failure.ts';
import type { JsonObject } from './message.ts';
import type { StreamableClient } from './streamable.ts';

/** One request of the gateway's own to a streamable HTTP upstream, outside of any session. */
export interface HttpCall {
  readonly headers: Record<string, string>;
  readonly message: JsonObject;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The JSON-RPC answer to the message, result or error; undefined when there was none. */
  readonly response: JsonObject | undefined;
}

/**
 * Posts a request and reads its answer, whatever its HTTP status, from JSON or from an event stream (specification 2025-11-25,
 * basic/transports, section Sending Messages to the Server). Rejects as an exchange does.
 */
export function callOverHttp(client: StreamableClient, upstream: Upstream, call: HttpCall): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  let status = 0;
  let headers: IncomingHttpHeaders = {};
  let reader: BodyReader | undefined;
  let response: JsonObject | undefined;
  const take = (message: JsonObject): void => {
    const isAnswer = message['id'] === call.message['id'] || (message['id'] ?? null) === null;
    if (isAnswer && typeof message['method'] !== 'string') {
      response ??= message;
    }
  };
  const exchange = client.exchange(
    upstream,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...call.headers },
      body: Buffer.from(JSON.stringify(call.message)),
    },
    {
      onResponse(receivedStatus: number, receivedHeaders: IncomingHttpHeaders) {
        status = receivedStatus;
        headers = receivedHeaders;
        reader = new BodyReader(headers['content-type'] ?? '', take);
      },
      onData(chunk) {
        if (reader?.read(chunk) === false) {
          exchange.abort();
          reject(tooLarge(upstream.slug, MAX_MESSAGE_BYTES));
        } else if (response !== undefined) {
          exchange.abort(); // an upstream that keeps the stream open would hold the connection for ever
          resolve({ status, headers, response });
        }
        return true;
      },
      onEnd() {
        reader?.end();
        resolve({ status, headers, response });
      },
      onError: reject,
    },
  );
  return promise;
}

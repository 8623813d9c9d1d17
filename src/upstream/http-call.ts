import type { IncomingHttpHeaders } from 'node:http';
import { createParser } from 'eventsource-parser';
import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import { MAX_MESSAGE_BYTES } from './connection.ts';
import { type JsonObject, parseMessages } from './message.ts';
import type { StreamableClient } from './streamable.ts';

/** One message of the gateway's own to a streamable HTTP upstream. */
export interface HttpCall {
  readonly headers: Record<string, string>;
  readonly message: JsonObject;
  readonly signal?: AbortSignal | undefined;
  /** Takes what comes on an event stream before the answer. */
  readonly onMessage?: (message: JsonObject) => void;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The JSON-RPC answer to the message, result or error; undefined when there was none, as for a notification. */
  readonly response: JsonObject | undefined;
}

const LAST_BYTES_MS = 1000;

/**
 * Posts a message and reads its answer, from JSON or from an event stream (specification 2025-11-25, basic/transports, section
 * Sending Messages). Rejects as an exchange does, and with `canceled` on the signal.
 */
export function callOverHttp(client: StreamableClient, upstream: Upstream, call: HttpCall): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const reader = createReader(call);
  let status = 0;
  let headers: IncomingHttpHeaders = {};
  const finish = () => resolve({ status, headers, response: reader.response() });
  const exchange = client.exchange(
    upstream,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...call.headers },
      body: Buffer.from(JSON.stringify(call.message)),
    },
    {
      onResponse(receivedStatus, receivedHeaders) {
        status = receivedStatus;
        headers = receivedHeaders;
        reader.begin(headers['content-type'] ?? '');
      },
      onData(chunk) {
        const isFine = reader.read(chunk);
        if (!isFine) {
          exchange.abort();
          reject(tooLarge(upstream));
        } else if (reader.response() !== undefined) {
          finish();
          // The answer ends the stream; an upstream that keeps it open would hold the connection for ever.
          setTimeout(() => exchange.abort(), LAST_BYTES_MS).unref();
        }
        return true;
      },
      onEnd() {
        reader.end();
        finish();
      },
      onError: reject,
    },
  );
  const onAbort = () => {
    exchange.abort();
    reject(new GatewayError('canceled', 'The call was cancelled.'));
  };
  call.signal?.addEventListener('abort', onAbort, { once: true });
  if (call.signal?.aborted === true) {
    onAbort();
  }
  return promise.finally(() => call.signal?.removeEventListener('abort', onAbort));
}

/** Reads one HTTP body, of either kind, for the answer to the call's message. */
function createReader(call: HttpCall) {
  const decoder = new TextDecoder();
  let isStream = false;
  let text = '';
  let isFine = true;
  let response: JsonObject | undefined;

  const take = (json: string): void => {
    for (const message of parseMessages(json)) {
      if (typeof message['method'] === 'string') {
        call.onMessage?.(message);
      } else if (message['id'] === call.message['id'] || (message['id'] ?? null) === null) {
        response ??= message;
      }
    }
  };
  const parser = createParser({
    maxBufferSize: MAX_MESSAGE_BYTES,
    onEvent: ({ data }) => take(data),
    onError: ({ type }) => {
      isFine = isFine && type !== 'max-buffer-size-exceeded';
    },
  });

  return {
    begin(contentType: string): void {
      isStream = contentType.startsWith('text/event-stream');
    },
    /** False when the body is too large. */
    read(chunk: Buffer): boolean {
      const part = decoder.decode(chunk, { stream: true });
      if (isStream && isFine) {
        parser.feed(part);
      } else {
        text += part;
        isFine = isFine && text.length <= MAX_MESSAGE_BYTES;
      }
      return isFine;
    },
    end(): void {
      if (!isStream) {
        take(text);
      }
    },
    response: () => response,
  };
}

function tooLarge(upstream: Upstream): GatewayError {
  const message = `The upstream "${upstream.slug}" answered with more than ${MAX_MESSAGE_BYTES / 1024 / 1024} MiB.`;
  return new GatewayError('bad_gateway', message);
}

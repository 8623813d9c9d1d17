import { GatewayError } from '../domain/errors.ts';
import type { HttpRequest } from '../mcp/exchange.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** Longest time from the first look at the body to its last byte, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Reads a whole body; at once when it has come with the head, as small ones do.
 *
 * @throws GatewayError `payload_too_large`, `validation_failed` for one that comes too slowly, `canceled` for one that breaks off
 */
export function readBody(request: HttpRequest, limits: BodyLimits): Buffer | Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) {
    return Promise.reject(tooLarge(limits));
  }
  if (request.destroyed || request.errored) {
    return Promise.reject(brokenOff());
  }
  if (!request.complete) {
    return receiveBody(request, limits);
  }
  const body: Buffer = request.read() ?? Buffer.alloc(0);
  return body.length > limits.maxBytes ? Promise.reject(tooLarge(limits)) : body;
}

function receiveBody(request: HttpRequest, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => settle(() => reject(tooSlow(limits))), limits.timeoutMs);
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      request.off('data', onData);
      finish();
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > limits.maxBytes) {
        settle(() => reject(tooLarge(limits)));
      } else {
        chunks.push(chunk);
      }
    };
    request.on('data', onData);
    request.on('end', () => settle(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))));
    request.on('error', () => settle(() => reject(brokenOff())));
    request.on('aborted', () => settle(() => reject(brokenOff())));
  });
}

function tooLarge(limits: BodyLimits): GatewayError {
  return new GatewayError(
    'payload_too_large',
    `The body is larger than the ${limits.maxBytes} bytes this gateway takes.`,
  );
}

function tooSlow(limits: BodyLimits): GatewayError {
  const message = `The body was not complete after ${limits.timeoutMs / 1000} s. Send it faster or in smaller parts.`;
  return new GatewayError('validation_failed', message);
}

function brokenOff(): GatewayError {
  return new GatewayError('canceled', 'The client broke off before its request was complete.');
}

import type { DescMessage } from '@bufbuild/protobuf';
import { Code, type StreamResponse, type Transport } from '@connectrpc/connect';
import { type CredentialSource, checkCredential } from './credentials.ts';
import { toPortcullisError } from './error-conversion.ts';
import { isPortcullisError, PortcullisError } from './errors.ts';

export interface GuardOptions {
  readonly credentials: CredentialSource | undefined;
  /** Deadline of unary calls that name none, in milliseconds; 0 = none. Streams have none unless they name one. */
  readonly timeoutMs: number;
}

/**
 * Wraps a transport so that every call carries the credential, and throws a PortcullisError when it fails. A call that is refused with
 * `token_expired` is repeated once if the source has a newer token: nothing was done by then. What the source throws passes unchanged.
 */
export function createGuardedTransport(transport: Transport, options: GuardOptions): Transport {
  const { credentials } = options;
  return {
    unary: (method, signal, timeoutMs = options.timeoutMs, header, input, values) =>
      sendAuthorized(credentials, signal, header, (headers) =>
        transport.unary(method, signal, timeoutMs, headers, input, values),
      ),
    async stream(method, signal, timeoutMs, header, input, values) {
      const requests = method.methodKind === 'server_streaming' ? await collect(input) : undefined;
      return sendAuthorized(credentials, signal, header, async (headers) => {
        const messages = requests === undefined ? input : replay(requests);
        const response = await transport.stream(method, signal, timeoutMs, headers, messages, values);
        return requests === undefined ? guardMessages(response) : startReading(response);
      });
    },
  };
}

async function sendAuthorized<Response>(
  credentials: CredentialSource | undefined,
  signal: AbortSignal | undefined,
  header: HeadersInit | undefined,
  send: (headers: Headers) => Promise<Response>,
): Promise<Response> {
  const headers = new Headers(header);
  if (credentials === undefined || headers.has('authorization')) {
    return convertFailure(send(headers));
  }
  const attempt = (credential: string) => {
    checkCredential(credential);
    headers.set('authorization', `Bearer ${credential}`);
    return convertFailure(send(new Headers(headers)));
  };
  const first = await untilAborted(credentials(), signal);
  try {
    return await attempt(first);
  } catch (error) {
    const next = isPortcullisError(error, 'token_expired') ? await untilAborted(credentials(first), signal) : first;
    if (next === first) {
      throw error;
    }
    return attempt(next);
  }
}

async function convertFailure<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw toPortcullisError(error);
  }
}

/** Stops to wait when the call is aborted; the work itself goes on, since other calls may wait for it too. */
async function untilAborted<Result>(work: Result | Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined || !(work instanceof Promise)) {
    return work;
  }
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortError(signal));
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) {
      onAbort();
    }
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function abortError({ reason }: AbortSignal): PortcullisError {
  return isPortcullisError(reason)
    ? reason
    : new PortcullisError('canceled', 'The call was aborted.', { code: Code.Canceled, cause: reason });
}

async function collect<Message>(messages: AsyncIterable<Message>): Promise<Message[]> {
  const collected: Message[] = [];
  for await (const message of messages) {
    collected.push(message);
  }
  return collected;
}

async function* replay<Message>(messages: readonly Message[]): AsyncGenerator<Message> {
  yield* messages;
}

/** Waits for the first message, since a refusal comes in its place, and returns the response as if nothing had been read of it. */
async function startReading<I extends DescMessage, O extends DescMessage>(
  response: StreamResponse<I, O>,
): Promise<StreamResponse<I, O>> {
  const messages = response.message[Symbol.asyncIterator]();
  let first: ReturnType<typeof messages.next> | undefined = Promise.resolve(await messages.next());
  const next = () => {
    const result = first ?? messages.next();
    first = undefined;
    return convertFailure(result);
  };
  return { ...response, message: { [Symbol.asyncIterator]: () => ({ next }) } };
}

function guardMessages<I extends DescMessage, O extends DescMessage>(
  response: StreamResponse<I, O>,
): StreamResponse<I, O> {
  const messages = response.message[Symbol.asyncIterator]();
  return { ...response, message: { [Symbol.asyncIterator]: () => ({ next: () => convertFailure(messages.next()) }) } };
}

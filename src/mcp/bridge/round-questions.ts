import { GatewayError } from '../../domain/errors.ts';
import { newId } from '../../domain/ids.ts';
import { isObject, type JsonObject, textOf } from '../../upstream/message.ts';
import type { InputRequest } from './input-required.ts';
import type { Leg } from './leg.ts';
import type { Question, Questions } from './questions.ts';

/**
 * Asks a legacy client everything that a modern upstream wants to know in one round, on the client's open response; resolves with the
 * answers by the upstream's keys. Rejects when the client answers one with an error, or not in time, or `signal` is aborted; it is then told
 * that the rest is no longer wanted.
 */
export async function askAll(
  questions: Questions,
  leg: Leg,
  requests: readonly InputRequest[],
  signal: AbortSignal,
): Promise<JsonObject> {
  const open = new Set<Question>();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const answers = Promise.all(
      requests.map(async (request) => [request.key, await askOne(questions, leg, request, open)]),
    );
    // `__proto__` may be a key as well as any other.
    return Object.fromEntries(await Promise.race([answers, aborted]));
  } catch (error) {
    for (const question of open) {
      question.forget();
      leg.stream.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: question.id } });
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function askOne(
  questions: Questions,
  leg: Leg,
  { method, params }: InputRequest,
  open: Set<Question>,
): Promise<JsonObject> {
  const answer = Promise.withResolvers<JsonObject>();
  const question = await questions.ask(leg.client, {
    onAnswer: answer.resolve,
    onLapse: () => answer.reject(unanswered(leg, method, 'nobody answered in time')),
  });
  open.add(question);
  leg.stream.send({ jsonrpc: '2.0', id: question.id, method, ...(params === undefined ? {} : { params }) });
  const { result, error } = await answer.promise;
  open.delete(question);
  if (!isObject(result)) {
    throw unanswered(leg, method, isObject(error) ? textOf(error['message']) : 'its answer has no result');
  }
  return result;
}

function unanswered({ request }: Leg, method: string, why: string): GatewayError {
  const message = `The upstream "${request.upstream.slug}" asked the client for '${method}', and got no answer: ${why}`;
  return new GatewayError('failed_precondition', message);
}

/** A request to open a page, as the legacy era has it: with an id, by which the client is told later that this is done. */
export function withElicitationId(request: InputRequest): InputRequest {
  const { method, params } = request;
  return method === 'elicitation/create' && params?.['mode'] === 'url'
    ? { ...request, params: { elicitationId: newId(), ...params } }
    : request;
}

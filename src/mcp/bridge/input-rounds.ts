import { setTimeout as pause } from 'node:timers/promises';
import type { Channel } from '../../upstream/channels.ts';
import { isObject, type JsonObject, paramsOf } from '../../upstream/message.ts';
import { capabilitiesOf, clientInfoOf } from './clients.ts';
import { type InputRequest, type InputRequired, isInputRequired, readInputRequired } from './input-required.ts';
import { badMessage, type Leg, optionsOf } from './leg.ts';
import { isLoud, type LogLevels } from './log-levels.ts';
import type { Questions } from './questions.ts';
import { createRisingProgress } from './rising-progress.ts';
import { askAll, withElicitationId } from './round-questions.ts';
import { fromModernResult, toModernRequest } from './to-modern-upstream.ts';

export interface InputRoundsDeps {
  readonly questions: Questions;
  readonly levels: LogLevels;
  /** Aborted when the process stops. */
  readonly stopping: AbortSignal;
}

/** Rounds in which an upstream may ask for input before it has to answer. */
const MAX_ROUNDS = 16;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * A legacy client's request to a modern upstream: what the upstream wants to know is asked on the client's response stream, and the
 * request sent again with the answers, until it is complete.
 */
export async function carryInputRounds(deps: InputRoundsDeps, leg: Leg, channel: Channel): Promise<JsonObject> {
  const { request, client, stream, signal } = leg;
  const capabilities = capabilitiesOf(request.post, 'modern');
  const logLevel = deps.levels.find(client.sessionId);
  const first = toModernRequest(request.message, { capabilities, clientInfo: clientInfoOf(request.post), logLevel });
  const until = AbortSignal.any([signal, deps.stopping]);
  const progress = createRisingProgress();
  const pages: string[] = [];
  const onMessage = (message: JsonObject) => forClient(message, logLevel) && stream.send(progress.translate(message));

  let sent = first;
  for (let round = 1; ; round++) {
    const answer = await channel.request(sent, optionsOf(leg, onMessage));
    const { result } = answer;
    if (!isObject(result) || !isInputRequired(result)) {
      reportPages(leg, pages);
      return isObject(result) ? { ...answer, result: completed(leg, result) } : answer;
    }
    if (round === MAX_ROUNDS) {
      throw badMessage(leg, `still asked for more input after ${MAX_ROUNDS} rounds.`);
    }
    const required = readInputRequired(leg, capabilities, result);
    const requests = required.requests.map(withElicitationId);
    const inputResponses = await gather(deps, leg, requests, until, round);
    pages.push(...requests.flatMap((asked) => pageOf(asked, inputResponses)));
    sent = again(first, required, inputResponses);
    progress.begin();
  }
}

/** What the client says to the requests of one round; without any, the upstream only wants the request to come again, a little later. */
async function gather(
  { questions }: InputRoundsDeps,
  leg: Leg,
  requests: readonly InputRequest[],
  until: AbortSignal,
  round: number,
): Promise<JsonObject | undefined> {
  if (requests.length > 0) {
    return askAll(questions, leg, requests, until);
  }
  await pause(Math.min(FIRST_PAUSE_MS * 2 ** (round - 1), LONGEST_PAUSE_MS), undefined, { signal: until });
  return undefined;
}

function again(first: JsonObject, { requestState }: InputRequired, inputResponses: JsonObject | undefined): JsonObject {
  const params = {
    ...paramsOf(first),
    ...(inputResponses === undefined ? {} : { inputResponses }),
    ...(requestState === undefined ? {} : { requestState }),
  };
  return { ...first, params };
}

function completed(leg: Leg, result: JsonObject): JsonObject {
  const { resultType } = result;
  if (resultType !== undefined && resultType !== 'complete') {
    throw badMessage(
      leg,
      `answered with a result of a type that the client does not know: ${JSON.stringify(resultType)}.`,
    );
  }
  return fromModernResult(result);
}

/** A modern upstream tells a client of progress and, where asked to, what it logs; it requests nothing. */
function forClient({ method, id, params }: JsonObject, logLevel: string | undefined): boolean {
  if (id !== undefined) {
    return false;
  }
  const isLog = method === 'notifications/message';
  return !isLog || (logLevel !== undefined && isLoud(isObject(params) ? params['level'] : undefined, logLevel));
}

/** The id of a page that the user agreed to open. */
function pageOf({ key, params }: InputRequest, responses: JsonObject | undefined): string[] {
  const id = params?.['elicitationId'];
  const response = responses?.[key];
  return typeof id === 'string' && isObject(response) && response['action'] === 'accept' ? [id] : [];
}

/** The answer shows that what was done on the pages is over (specification 2025-11-25, client/elicitation, section Completion Notifications). */
function reportPages({ stream }: Leg, pages: readonly string[]): void {
  for (const elicitationId of pages) {
    stream.send({ jsonrpc: '2.0', method: 'notifications/elicitation/complete', params: { elicitationId } });
  }
}

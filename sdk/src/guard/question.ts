import { type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import type { AgentRefSchema } from '../../../gen/portcullis/v1/agent_pb.ts';
import { canonicalText, checkArguments } from '../checked-arguments.ts';
import type { GuardSettings } from './guard-options.ts';
import type { HandlerCall } from './handler-call.ts';

/** What the gateway is asked about a call. */
export interface Question {
  readonly agent: MessageInitShape<typeof AgentRefSchema>;
  readonly tool: string;
  readonly arguments: JsonObject;
  readonly session: string;
  readonly upstream: string;
}

/** The most that Authorize takes, as JSON in UTF-8. */
const MAX_BYTES = 64 * 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The question about a call. Throws an ArgumentsError, or what the function for the session throws. */
export function toQuestion({ agentId, session, upstream }: GuardSettings, call: HandlerCall): Question {
  const named = typeof session === 'function' ? session(call.extra) : session;
  if (named !== undefined && typeof named !== 'string') {
    throw new TypeError('The option session of the guard must give a text.');
  }
  return {
    agent: { value: { case: UUID.test(agentId) ? 'id' : 'slug', value: agentId } },
    tool: call.toolName,
    arguments: checkArguments(call.args, MAX_BYTES),
    session: named ?? '',
    upstream,
  };
}

/** The same text for the same question. */
export function textOfQuestion(question: Question): string {
  const { agent, tool, session, upstream } = question;
  return JSON.stringify([agent.value?.value, tool, session, upstream, canonicalText(question.arguments)]);
}

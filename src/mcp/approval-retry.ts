import type { Approvals } from '../approvals/approvals.ts';
import { describeArguments } from '../decisions/recorded-arguments.ts';
import type { Approval } from '../domain/approval.ts';
import type { Call } from '../pipeline/call.ts';
import { isObject } from '../upstream/message.ts';
import { type ApprovalTokens, type Carried, looksSealed, type RetryState } from './approval-tokens.ts';
import { actionOf, urlElicitation } from './elicitation.ts';
import type { McpPost } from './exchange.ts';
import { type ClientMessage, InvalidMessageError, isFragile, type JsonObject, parseExactly } from './json-rpc.ts';

/** The request of a modern client that comes again, after it was answered with the request to open an approval's page. */
export interface ApprovalRetry {
  /** As it is now. */
  readonly approval: Approval;
  /** True when the user has opened the page. */
  readonly isAccepted: boolean;
  /** True when the user will not have the call. */
  readonly isDeclined: boolean;
  /** The request as the upstream may see it. */
  readonly post: McpPost;
}

export interface ApprovalRetriesDeps {
  readonly approvals: Pick<Approvals, 'get'>;
  readonly tokens: ApprovalTokens;
  readonly approvalUrl: (id: string) => string;
}

export type ApprovalRetries = ReturnType<typeof createApprovalRetries>;

/** Name of the gateway's question among `inputRequests`. */
const QUESTION = 'portcullis_approval';
/** Longest text of the upstream's own state and answers that is carried through a round of the gateway's, in UTF-16 code units. */
const MAX_CARRIED = 64 * 1024;

/** The rounds of a modern client that is asked to open an approval's page (specification 2026-07-28, basic/patterns/mrtr). */
export function createApprovalRetries({ approvals, tokens, approvalUrl }: ApprovalRetriesDeps) {
  /** True for the few requests that `read` has to look at. */
  function mayBeRetry({ era, message }: McpPost): boolean {
    return era === 'modern' && looksSealed(message.params?.['requestState']);
  }

  /**
   * What this request says about an approval; undefined for a request that is not about one, an upstream's own `requestState` included.
   *
   * @throws InvalidMessageError for a state that was given for another call or to another caller
   */
  async function read(post: McpPost, call: Call): Promise<ApprovalRetry | undefined> {
    const { params } = post.message;
    const state = await tokens.read('retry', params?.['requestState']);
    if (state === undefined || state.targetId !== post.target.id) {
      return undefined;
    }
    if (!isSameCall(state, call)) {
      throw new InvalidMessageError(
        -32602,
        `'params.requestState' belongs to another call: repeat this one without it`,
      );
    }
    const approval = await approvals.get(call.principal.projectId, state.approvalId);
    if (approval === undefined) {
      throw new InvalidMessageError(-32602, `'params.requestState' has lapsed: repeat the call without it`);
    }
    const answers = params?.['inputResponses'];
    const action = isObject(answers) ? actionOf(answers[QUESTION]) : undefined;
    return {
      approval,
      isAccepted: action === 'accept' || (action === undefined && state.isAccepted),
      isDeclined: action === 'decline' || action === 'cancel',
      post: withoutAnswers(post, state.carried),
    };
  }

  /** The `input_required` result that brings the client back; undefined when the client can't be asked. */
  async function resultFor(post: McpPost, approval: Approval, isAccepted: boolean): Promise<JsonObject | undefined> {
    const carried = carriedBy(post.message);
    if (JSON.stringify(carried ?? {}).length > MAX_CARRIED) {
      return undefined;
    }
    const requestState = await tokens.make({
      kind: 'retry',
      approvalId: approval.id,
      principalId: approval.principalId,
      targetId: post.target.id,
      method: approval.method,
      tool: approval.tool,
      argumentsDigest: approval.argumentsDigest,
      isAccepted,
      ...(carried === undefined ? {} : { carried }),
    });
    const question = { method: 'elicitation/create', params: urlElicitation(approval, approvalUrl(approval.id)) };
    // Who has the page open is not asked to open it again: without a question the client comes back by itself.
    const inputRequests = isAccepted ? {} : { inputRequests: { [QUESTION]: question } };
    return { resultType: 'input_required', ...inputRequests, requestState };
  }

  return { mayBeRetry, read, resultFor };
}

function isSameCall(state: RetryState, call: Call): boolean {
  const digest = call.arguments === undefined ? '' : describeArguments(call.arguments, 'none', call.exactText).digest;
  return (
    state.principalId === call.principal.id &&
    state.method === call.method &&
    state.tool === (call.tool ?? '') &&
    state.argumentsDigest === digest
  );
}

function carriedBy(message: ClientMessage): Carried | undefined {
  const { requestState, inputResponses } = exactParams(message);
  if (requestState === undefined && inputResponses === undefined) {
    return undefined;
  }
  return {
    ...(typeof requestState === 'string' ? { requestState } : {}),
    ...(isObject(inputResponses) ? { inputResponses: JSON.stringify(inputResponses) } : {}),
  };
}

/** The request without what was meant for the gateway, and with what the interrupted one carried for the upstream. */
function withoutAnswers(post: McpPost, carried: Carried | undefined): McpPost {
  const { requestState: _own, inputResponses, ...params } = exactParams(post.message);
  const { [QUESTION]: _answer, ...given } = isObject(inputResponses) ? inputResponses : {};
  const others = { ...parseExactly(carried?.inputResponses ?? '{}'), ...given };
  const restored: JsonObject = {
    ...params,
    ...(Object.keys(others).length === 0 ? {} : { inputResponses: others }),
    ...(carried?.requestState === undefined ? {} : { requestState: carried.requestState }),
  };
  const text = JSON.stringify({ ...post.message.value, params: restored });
  const value = JSON.parse(text) as JsonObject;
  const message = { ...post.message, params: value['params'] as JsonObject, value, text };
  return { ...post, message, body: Buffer.from(text) };
}

/** The parameters with every number as written, however long the message: these rounds are rare. */
function exactParams({ text, params }: ClientMessage): JsonObject {
  return (isFragile(text) ? (parseExactly(text, Number.POSITIVE_INFINITY)?.['params'] as JsonObject) : params) ?? {};
}

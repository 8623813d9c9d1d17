import { type ErrorReason, GatewayError } from '../domain/errors.ts';
import type { Gateway } from '../domain/gateway.ts';
import { addressOf } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { type Call, type CallDeps, type Forward, type ForwardEnd, runCall } from '../pipeline/call.ts';
import type { Ruling } from '../pipeline/decide-call.ts';
import { refuseCall } from '../pipeline/refuse-call.ts';
import { type ApprovalGate, mayRequireInput } from './approval-gate.ts';
import type { ApprovalRetry } from './approval-retry.ts';
import { argumentsText } from './arguments-text.ts';
import { failureOf, refusalCodes } from './errors.ts';
import type { McpPost } from './exchange.ts';
import { type ClientMessage, InvalidMessageError, isFragile, parseExactly } from './json-rpc.ts';
import { refusalOf, whyNotApproved } from './refusal.ts';

export interface GovernDeps {
  readonly call: CallDeps;
  readonly approvalGate: ApprovalGate;
}

/** What the arguments of a call are known as: with every number as written, or with what the digest must cover instead. */
export type CallArguments = Pick<Call, 'arguments' | 'exactText'>;

/** Where a governed request goes, and as what. */
export interface Route {
  readonly upstream: Upstream;
  /** The gateway that composed it; absent = the request named the upstream itself. */
  readonly gateway?: Gateway;
  /** What it acts on, as the upstream knows it. */
  readonly tool: string | undefined;
  /** As the upstream gets them. */
  readonly arguments: CallArguments;
  /** Sends the client's request on to the upstream of the decided call; see {@link Forward}. */
  readonly forward: (post: McpPost, call: Call, committed?: Promise<void>) => Promise<ForwardEnd>;
}

/** A request that needs a Decision goes the path of a call: decided as what its upstream will get, then sent there. */
export async function govern(deps: GovernDeps, post: McpPost, route: Route): Promise<void> {
  const { answer, message } = post;
  const id = message.id ?? null;
  const call = callOf(post, route);
  try {
    const { approvalGate } = deps;
    const retry = approvalGate.mayBeRetry(post) ? await approvalGate.readRetry(post, call) : undefined;
    if (retry !== undefined && isSettledAgainst(retry)) {
      return await refuseRetry(deps, call, retry);
    }
    const current: McpPost = retry === undefined ? post : { ...post, ...retry.post };
    const forward: Forward = (decided, committed) =>
      route.forward({ ...current, principal: decided.principal }, decided, committed);
    const ruling = await runCall(deps.call, call, forward, approvalGate.waitOf(current, retry));
    if (ruling.decision.effect !== 'allow') {
      await answerRefusal(deps, current, ruling, retry);
    }
  } catch (error) {
    if (error instanceof InvalidMessageError) {
      return answer.sendError(id, { code: error.code, message: error.message });
    }
    const failure = failureOf(error);
    answer.sendError(id, isAccessLost(error) ? { ...failure, code: refusalCodes[post.era].deny } : failure);
    throw error;
  }
}

/** True when the caller may not call any more, which a call that waited finds out late. */
function isAccessLost(error: unknown): boolean {
  return error instanceof GatewayError && accessReasons.includes(error.reason);
}

const accessReasons: readonly ErrorReason[] = [
  'permission_denied',
  'api_key_revoked',
  'api_key_expired',
  'token_expired',
  'invalid_api_key',
];

function isSettledAgainst({ approval, isDeclined }: ApprovalRetry): boolean {
  return isDeclined || approval.state === 'denied' || approval.state === 'expired';
}

/** The client came again for a call that will not be: its user declined, or nobody approved. */
async function refuseRetry(deps: GovernDeps, call: Call, { approval, isDeclined, post }: ApprovalRetry): Promise<void> {
  if (isDeclined) {
    await deps.approvalGate.decline(approval.id);
  }
  const settled = isDeclined ? { ...approval, state: 'denied' as const } : approval;
  const decision = await refuseCall(deps.call, call, approval, whyNotApproved(settled));
  post.answer.sendError(post.message.id ?? null, refusalOf(post.era, { decision, approval: settled }));
}

/** A client that can is asked to open the approval's page, everybody else gets the error. */
async function answerRefusal(
  deps: GovernDeps,
  post: McpPost,
  ruling: Ruling,
  retry: ApprovalRetry | undefined,
): Promise<void> {
  const { answer, message, era } = post;
  const { approval, demand } = ruling;
  const id = message.id ?? null;
  if (approval?.state === 'pending' && demand?.behavior === 'elicit' && mayRequireInput(post)) {
    const isAccepted = retry?.isAccepted === true && retry.approval.id === approval.id;
    const result = await deps.approvalGate.inputRequired(post, approval, isAccepted);
    if (result !== undefined) {
      return answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id, result }));
    }
  }
  answer.sendError(id, refusalOf(era, ruling));
}

function callOf(post: McpPost, { upstream, gateway, tool, arguments: args }: Route): Call {
  const { requestId, principal, target, message, authenticate } = post;
  return {
    requestId,
    face: 'mcp',
    principal,
    slug: addressOf(target),
    method: message.method,
    authenticate,
    upstream,
    ...(gateway === undefined ? {} : { gateway }),
    era: post.era,
    tool,
    ...args,
    session: post.session?.id,
    requestBytes: post.body.length,
  };
}

/** The arguments of a request as its client wrote them. */
export function argumentsOf({ params, text }: ClientMessage): CallArguments {
  const args = params?.['arguments'];
  if (args === undefined || !isFragile(text)) {
    return { arguments: args };
  }
  const exact = parseExactly(text)?.['params'] as ClientMessage['params'];
  return exact === undefined
    ? { arguments: args, exactText: argumentsText(text) ?? text }
    : { arguments: exact['arguments'] };
}

import type { DecisionWatch } from '../decisions/decision-watch.ts';
import type { Decision } from '../domain/decision.ts';
import { newId } from '../domain/ids.ts';
import { hasScope } from '../domain/principal.ts';
import { addressOf } from '../domain/target.ts';
import { keepAlive, onClose, startEventStream, writeEvent } from './answer.ts';
import type { McpRequest } from './exchange.ts';

/**
 * Document 000's event stream: a `notifications/session` notification, then the decisions about this upstream or gateway as they are recorded.
 * Callers with `gateway:read` see all of their project, others their own.
 */
export async function streamDecisions(watch: DecisionWatch, request: McpRequest): Promise<void> {
  const { response, principal, target } = request;
  // Before the client can know of the stream, so that nothing it does then is missed.
  const position = await watch.head();
  const gone = new AbortController();
  onClose(response, () => gone.abort());
  startEventStream(response, request.requestId);
  const stopKeepAlive = keepAlive(response);
  writeEvent(response, sessionEvent(request));
  const seesAll = hasScope(principal, 'gateway:read');
  const events = watch.watch({
    projectId: principal.projectId,
    position,
    authorize: () => {},
    matches: ({ decision }) =>
      (decision.upstreamId === target.id || decision.gatewayId === target.id) &&
      (seesAll || decision.principalId === principal.id),
    signal: gone.signal,
  });
  try {
    for await (const event of events) {
      if (event.kind === 'decision') {
        writeEvent(response, decisionEvent(event.logged.decision));
      }
    }
  } finally {
    stopKeepAlive();
    response.end();
  }
}

function sessionEvent(request: McpRequest): string {
  const params = { sessionId: newId(), upstream: addressOf(request.target) };
  return `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/session', params })}\n\n`;
}

function decisionEvent(decision: Decision): string {
  const envelope = {
    type: 'decision',
    id: decision.id,
    time: new Date(decision.createTime).toISOString(),
    request_id: decision.requestId,
    upstream: decision.upstreamSlug,
    gateway: decision.gatewaySlug,
    principal: { kind: decision.principalKind, id: decision.principalId, name: decision.principalName },
    key_prefix: decision.keyPrefix,
    method: decision.method,
    tool: decision.tool,
    decision: decision.effect,
    reason: decision.reason,
    rule_ids: decision.ruleIds,
    message: decision.message,
    arguments_digest: decision.argumentsDigest,
  };
  return `event: decision\nid: ${decision.id}\ndata: ${JSON.stringify(envelope)}\n\n`;
}

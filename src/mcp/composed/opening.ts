import { mergeCapabilities } from '../../catalogue/capabilities.ts';
import type { Composition } from '../../catalogue/composition.ts';
import { instructionsOf, serverInfoOf } from '../../catalogue/introduction.ts';
import { newId } from '../../domain/ids.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isGateway, type Target } from '../../domain/target.ts';
import { GATEWAY_INFO, MODERN_VERSION } from '../../upstream/gateway-client.ts';
import { textOf } from '../../upstream/message.ts';
import { declaresUrlElicitation } from '../elicitation.ts';
import { LEGACY_VERSIONS } from '../envelope.ts';
import type { McpPost } from '../exchange.ts';
import type { Sessions } from '../sessions.ts';
import { FRESHNESS } from './freshness.ts';

/** Metadata key under which results tell who answers (specification 2026-07-28, basic, section _meta). */
export const SERVER_INFO_KEY = 'io.modelcontextprotocol/serverInfo';

/** Answers `initialize` (specification 2025-11-25, basic/lifecycle), with a new session. */
export async function initialize(sessions: Sessions, post: McpPost, composition: Composition): Promise<void> {
  const { message, principal, target, answer } = post;
  const problem = isGateway(target) ? undefined : brokenBy(composition);
  if (problem !== undefined) {
    return answer.sendError(message.id ?? null, { code: -32603, message: problem });
  }
  const asked = textOf(message.params?.['protocolVersion']);
  const protocolVersion = LEGACY_VERSIONS.includes(asked) ? asked : LEGACY_VERSIONS[0];
  const { capabilities = {}, clientInfo } = message.params ?? {};
  const token = await sessions.mint({
    id: newId(),
    principalId: principal.id,
    targetId: target.id,
    bridged: true,
    initializeParams: { protocolVersion, capabilities, ...(clientInfo === undefined ? {} : { clientInfo }) },
    ...(declaresUrlElicitation(capabilities) ? { elicitsUrl: true } : {}),
  });
  const result = {
    protocolVersion,
    capabilities: capabilitiesOf(composition),
    serverInfo: infoOf(target, composition),
    ...instructions(target, composition),
  };
  const json = JSON.stringify({ jsonrpc: '2.0', id: message.id, result });
  answer.sendJson(200, json, { 'mcp-session-id': token });
}

/** Answers `server/discover` (specification 2026-07-28, server/discover). */
export function discover({ message, target, answer }: McpPost, composition: Composition): void {
  const result = {
    resultType: 'complete',
    supportedVersions: [MODERN_VERSION, ...LEGACY_VERSIONS],
    capabilities: capabilitiesOf(composition),
    ...instructions(target, composition),
    ...FRESHNESS,
    _meta: { [SERVER_INFO_KEY]: infoOf(target, composition) },
  };
  answer.sendJson(200, JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
}

/** Who answers for the target. */
export function infoOf(target: Target, { members }: Composition): JsonObject {
  return serverInfoOf(target, members, textOf(GATEWAY_INFO['version']));
}

function capabilitiesOf({ members }: Composition): JsonObject {
  return mergeCapabilities(members.map(({ offer }) => offer));
}

function instructions(target: Target, { members }: Composition): JsonObject {
  const text = instructionsOf(target, members);
  return text === undefined ? {} : { instructions: text };
}

/** Why an upstream that stands alone can't be opened: it could not even say what it is. */
function brokenBy({ members }: Composition): string | undefined {
  const offer = members[0]?.offer;
  const isUnknown =
    offer !== undefined && offer.serverInfo === undefined && Object.keys(offer.capabilities).length === 0;
  return isUnknown ? offer.problem?.message : undefined;
}

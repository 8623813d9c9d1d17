import type { Composition } from '../../catalogue/composition.ts';
import type { Decision } from '../../domain/decision.ts';
import { addressOf, isGateway } from '../../domain/target.ts';
import type { CallDeps } from '../../pipeline/call.ts';
import { refuseUnknown } from '../../pipeline/route.ts';
import type { McpPost } from '../exchange.ts';
import type { CallArguments } from '../govern.ts';

/** What a request can name. */
export type Noun = 'tool' | 'prompt' | 'resource';

/** A request for something that the gateway does not offer. */
export interface Unoffered {
  readonly noun: Noun;
  /** Name or URI, as the client wrote it. */
  readonly name: string;
  readonly arguments: CallArguments;
}

/** What of a name is repeated to who wrote it, in UTF-16 code units. */
const MAX_SHOWN = 200;

/** Refuses and records a request for something that is not offered; a name that several upstreams have is offered for none of them. */
export async function refuseUnoffered(
  deps: { readonly call: CallDeps },
  post: McpPost,
  unoffered: Unoffered,
  composition: Composition,
): Promise<void> {
  const { noun, name } = unoffered;
  const decision = await recordUnoffered(deps, post, unoffered);
  const data = { reason: 'not_offered', ...(decision === undefined ? {} : { call_id: decision.id }) };
  const message =
    clashMessage(noun, name, composition) ?? problemOf(noun, name, composition) ?? `Unknown ${noun}: ${shown(name)}`;
  post.answer.sendError(post.message.id ?? null, { code: -32602, message, data });
}

/** Records that the gateway offers nothing of this name; of an upstream that stands alone everything is asked, so it has no such names. */
export async function recordUnoffered(
  { call }: { readonly call: CallDeps },
  post: McpPost,
  { noun, name, arguments: args }: Unoffered,
): Promise<Decision | undefined> {
  const { requestId, principal, target, message, era, session, body } = post;
  if (!isGateway(target)) {
    return undefined;
  }
  const unknown = {
    requestId,
    face: 'mcp' as const,
    principal,
    slug: addressOf(target),
    method: message.method,
    era,
    session: session?.id,
    requestBytes: body.length,
    ...args,
  };
  return refuseUnknown(call, unknown, target, name, noun);
}

function clashMessage(noun: Noun, name: string, composition: Composition): string | undefined {
  const upstreams = noun === 'resource' ? undefined : composition.clash(name, noun);
  return (
    upstreams &&
    `The ${noun} '${shown(name)}' is not offered: several upstreams have it (${upstreams.join(', ')}). ` +
      'An operator can tell them apart by a name_prefix in the gateway.'
  );
}

/** Why an upstream's own tool or prompt is kept from being offered. */
function problemOf(noun: Noun, name: string, { problems }: Composition): string | undefined {
  return problems.find((problem) => problem.name === name && problem.message.startsWith(`The ${noun} `))?.message;
}

function shown(name: string): string {
  return name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name;
}

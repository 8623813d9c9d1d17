import type { Composition, Member } from '../../catalogue/composition.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { Principal } from '../../domain/principal.ts';
import type { Listing } from '../../pipeline/listing.ts';
import { look } from '../../pipeline/route.ts';
import { isObject } from '../../upstream/message.ts';
import type { McpPost } from '../exchange.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import { withParams } from '../message-rewrite.ts';
import type { ComposedDeps } from './deps.ts';
import { forwardTo } from './forward.ts';
import { withMessage } from './routes.ts';
import { viewerOf } from './viewer.ts';
import { mayGet } from './visible.ts';

/** What is completed, and whose it is. */
interface Reference {
  readonly member: Member;
  /** As the upstream knows it. */
  readonly ref: JsonObject;
}

/**
 * Answers `completion/complete` (server/utilities/completion, in both eras) by the upstream of the prompt or the resource template.
 *
 * @throws InvalidMessageError when there is no such prompt or template
 */
export async function complete(deps: ComposedDeps, post: McpPost): Promise<void> {
  const ref = post.message.params?.['ref'];
  if (!isObject(ref)) {
    throw new InvalidMessageError(-32602, `'params.ref' must be an object`);
  }
  const { found } = await look(deps.compositions, post.target, viewerOf(post), (composition) =>
    findReference(composition, ref, deps.listing, post.principal),
  );
  if (found === undefined) {
    throw new InvalidMessageError(-32602, `'params.ref' names no prompt and no resource that is offered here`);
  }
  const { upstream, entry } = found.member;
  deps.call.usage.countRequest(upstream.id);
  const rewritten = found.ref === ref ? post : withMessage(post, withParams(post.message, { ref: found.ref }));
  await forwardTo(deps, { post: rewritten, upstream, timeoutMs: entry.timeoutMs });
}

/** Undefined also for a prompt that the principal could never get; what a template can become is not known. */
function findReference(
  composition: Composition,
  ref: JsonObject,
  listing: Listing,
  principal: Principal,
): Reference | undefined {
  const { type, name, uri } = ref;
  if (type === 'ref/prompt' && typeof name === 'string') {
    const found = composition.findPrompt(name);
    return found !== undefined && mayGet(listing, principal, found)
      ? { member: found.member, ref: found.prompt === name ? ref : { ...ref, name: found.prompt } }
      : undefined;
  }
  if (type === 'ref/resource' && typeof uri === 'string') {
    const found = composition.findResourceTemplate(uri) ?? composition.findResource(uri);
    return found && { member: found.member, ref: found.upstreamUri === uri ? ref : { ...ref, uri: found.upstreamUri } };
  }
  return undefined;
}

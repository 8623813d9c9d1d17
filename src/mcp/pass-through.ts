import type { Upstream } from '../domain/upstream.ts';
import type { ChannelRelay } from './channel-relay.ts';
import type { UpstreamPost } from './exchange.ts';
import { argumentsOf, type GovernDeps, govern } from './govern.ts';
import type { ListFilter } from './list-filter.ts';
import { isGoverned, missingParam, targetOf } from './methods.ts';
import type { StreamableRelay } from './streamable-relay.ts';

export interface PassThroughDeps extends GovernDeps {
  readonly streamable: StreamableRelay;
  readonly channels: ChannelRelay;
  readonly lists: ListFilter;
}

/** What carries requests to this upstream. */
export function relayOf(deps: Pick<PassThroughDeps, 'streamable' | 'channels'>, upstream: Upstream) {
  return upstream.transport.kind === 'streamable_http' ? deps.streamable : deps.channels;
}

/** A message to an upstream that speaks the client's era: forwarded as it is, and decided first where it needs a Decision. */
export async function passThrough(deps: PassThroughDeps, post: UpstreamPost): Promise<void> {
  const { message, upstream, answer } = post;
  if (isGoverned(message)) {
    const { tool, missing } = targetOf(message);
    if (missing !== undefined) {
      return answer.sendError(message.id ?? null, missingParam(missing));
    }
    return govern(deps, post, {
      upstream,
      tool,
      arguments: argumentsOf(message),
      forward: (current, call, committed) =>
        relayOf(deps, call.upstream).post({ ...current, upstream: call.upstream }, committed),
    });
  }
  if (await deps.approvalGate.take(post)) {
    return answer.sendEmpty(202);
  }
  deps.call.usage.countRequest(upstream.id);
  await relayOf(deps, upstream).post({ ...post, rewrite: deps.lists.rewriteOf(post) });
}

import { sharingOf } from '../../upstream/channel-key.ts';
import type { McpPost } from '../exchange.ts';
import { exactValue } from '../json-rpc.ts';
import type { ComposedDeps } from './deps.ts';

/** A client's response to something it was asked: the gateway's own question, or an upstream's. */
export async function takeResponse({ approvalGate, bridge }: ComposedDeps, post: McpPost): Promise<void> {
  // An answer that comes too late belongs to nobody any more, which is no fault of the client.
  void ((await approvalGate.take(post)) || (await bridge.takeAnswer(post)));
  post.answer.sendEmpty(202);
}

/** A client's notification. */
export async function takeNotification(deps: ComposedDeps, post: McpPost): Promise<void> {
  switch (post.message.method) {
    case 'notifications/cancelled':
      void ((await deps.approvalGate.take(post)) || deps.bridge.cancel(post));
      break;
    case 'notifications/roots/list_changed':
      tellOpen(deps, post);
      break;
  }
  post.answer.sendEmpty(202);
}

/** Hands a notification to the legacy upstreams with which the client has a conversation; one that all share knows of nobody's roots. */
function tellOpen({ seating, channels, bridge }: ComposedDeps, post: McpPost): void {
  const client = bridge.clientOf(post, 'legacy');
  const upstreams = seating.seatsOf(post.target).members.map(({ upstream }) => upstream);
  for (const upstream of upstreams.filter((each) => sharingOf(each) !== 'per_upstream')) {
    channels.find(upstream, client, 'legacy')?.notify(client, exactValue(post.message));
  }
}

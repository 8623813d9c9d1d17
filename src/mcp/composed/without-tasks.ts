import { isObject, type JsonObject, metaOf } from '../../upstream/message.ts';
import { withoutTasksExtension } from '../bridge/client-capabilities.ts';
import { CAPABILITIES_KEY } from '../envelope.ts';
import type { McpPost } from '../exchange.ts';
import { exactValue } from '../json-rpc.ts';
import { withParams } from '../message-rewrite.ts';
import { withMessage } from './routes.ts';

/**
 * The request without the tasks extension among its client's capabilities: as the gateway does not have it, a task that an upstream made
 * would be out of the client's reach (specification 2026-07-28, basic, section Extensions: both sides must declare one).
 */
export function withoutTasks(post: McpPost): McpPost {
  const declared = metaOf(post.message.params ?? {})[CAPABILITIES_KEY];
  if (!isObject(declared) || withoutTasksExtension(declared) === declared) {
    return post;
  }
  const exact = exactValue(post.message)['params'] as JsonObject; // it has params, or nothing would be declared
  const meta = { ...metaOf(exact), [CAPABILITIES_KEY]: withoutTasksExtension(declared) };
  return withMessage(post, withParams(post.message, { _meta: meta }));
}

import type { Gateway } from './gateway.ts';
import type { Upstream } from './upstream.ts';

/** What a slug of the MCP endpoint leads to. */
export type Target = Upstream | Gateway;

export function isGateway(target: Target): target is Gateway {
  return 'upstreams' in target;
}

/** The version that a slug without one means. */
export const DEFAULT_VERSION = 'v1';

/** The name by which clients reach it: the slug, with `@version` for any version but `v1`. */
export function addressOf({ slug, version }: { readonly slug: string; readonly version: string }): string {
  return version === DEFAULT_VERSION ? slug : `${slug}@${version}`;
}

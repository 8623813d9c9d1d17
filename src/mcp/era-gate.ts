import type { Era } from '../domain/upstream.ts';
import type { EraBook } from '../upstream/era.ts';
import { MODERN_VERSION } from '../upstream/gateway-client.ts';
import { LEGACY_VERSIONS } from './envelope.ts';
import { failureOf, type RpcError } from './errors.ts';
import type { UpstreamPost } from './exchange.ts';

/** A request that cannot be served because client and upstream speak different eras. */
export interface EraRefusal {
  readonly status: number;
  readonly error: RpcError;
}

export type EraGate = ReturnType<typeof createEraGate>;

/** Lets a request through when its upstream speaks the client's era; asks the upstream once and remembers. */
export function createEraGate(deps: { readonly eras: EraBook }) {
  async function check(post: UpstreamPost): Promise<EraRefusal | undefined> {
    const known = deps.eras.erasOf(post.upstream)[post.era];
    if (known === true || (known === undefined && post.era === 'legacy' && post.message.method !== 'initialize')) {
      return undefined;
    }
    if (known === false) {
      return refusal(post);
    }
    try {
      const eras = await deps.eras.probe(post.upstream);
      return eras[post.era] === false ? refusal(post) : undefined;
    } catch (error) {
      return { status: 200, error: failureOf(error) };
    }
  }

  return { check };
}

/** In the shape a client of both eras understands: it goes on with a version the upstream speaks. */
function refusal(post: UpstreamPost): EraRefusal {
  const supported = post.era === 'modern' ? LEGACY_VERSIONS : [MODERN_VERSION];
  const requested =
    post.era === 'modern' ? MODERN_VERSION : (post.message.params?.['protocolVersion'] ?? LEGACY_VERSIONS[0]);
  const message =
    `Unsupported protocol version: the upstream "${post.upstream.slug}" speaks ${names[other(post.era)]}, ` +
    `and the client ${names[post.era]}. Use a client of the upstream's era.`;
  return {
    status: post.era === 'modern' ? 400 : 200,
    error: { code: -32022, message, data: { supported, requested } },
  };
}

function other(era: Era): Era {
  return era === 'modern' ? 'legacy' : 'modern';
}

const names: Readonly<Record<Era, string>> = {
  modern: `the stateless protocol (revision ${MODERN_VERSION})`,
  legacy: 'the protocol with sessions (revision 2025-11-25 and older)',
};

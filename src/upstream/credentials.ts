import { GatewayError } from '../domain/errors.ts';
import type { Upstream, UpstreamAuth, UpstreamSecrets } from '../domain/upstream.ts';

type Texts = Readonly<Record<string, string>>;

/** What the gateway presents to upstreams; the only place where their secrets are in the clear. */
export interface Credentials {
  /** Authorization and custom headers by lower-case name; at once when they were opened before. Throws `internal` when they cannot be opened. */
  headersOf(upstream: Upstream): Texts | Promise<Texts>;
  /** Configured environment of a stdio upstream; throws `internal` when it cannot be opened. */
  envOf(upstream: Upstream): Promise<Texts>;
}

export interface CredentialsOptions {
  /** Decrypts the JSON text of {@link UpstreamSecrets}. */
  readonly open: (sealed: string) => Promise<string>;
  /** Upstreams whose opened secrets are remembered. */
  readonly capacity?: number;
}

interface Opened {
  readonly headers: Texts;
  readonly env: Texts;
}

interface Entry {
  readonly revision: number;
  readonly opened: Opened | Promise<Opened>;
}

/** What an upstream without secrets has; always this one object. */
export const NO_CREDENTIALS: Texts = Object.freeze({});

/** Makes a cache of opened secrets, one entry an upstream, replaced with each revision. */
export function createCredentials({ open, capacity = 10_000 }: CredentialsOptions): Credentials {
  const entries = new Map<string, Entry>();

  const remember = (upstream: Upstream, opened: Entry['opened']): void => {
    entries.delete(upstream.id);
    entries.set(upstream.id, { revision: upstream.revision, opened });
    if (entries.size > capacity) {
      entries.delete(entries.keys().next().value ?? '');
    }
  };

  const openSecrets = async (upstream: Upstream): Promise<Opened> => {
    try {
      const secrets = (
        upstream.sealedSecrets === '' ? {} : JSON.parse(await open(upstream.sealedSecrets))
      ) as UpstreamSecrets; // the gateway's own text
      const opened = { headers: headersFrom(upstream.auth, secrets), env: secrets.env ?? NO_CREDENTIALS };
      remember(upstream, opened);
      return opened;
    } catch (cause) {
      entries.delete(upstream.id);
      const message =
        `The secrets of the upstream "${upstream.slug}" cannot be opened. ` +
        'Put the key they were stored with into GATEWAY_PREVIOUS_SECRET_KEYS, or enter them again.';
      throw new GatewayError('internal', message, { cause });
    }
  };

  const openedOf = (upstream: Upstream): Opened | Promise<Opened> => {
    const entry = entries.get(upstream.id);
    if (entry?.revision === upstream.revision) {
      return entry.opened;
    }
    const opening = openSecrets(upstream);
    remember(upstream, opening);
    return opening;
  };

  return {
    headersOf(upstream) {
      if (upstream.sealedSecrets === '' && upstream.auth.kind === 'none') {
        return NO_CREDENTIALS;
      }
      const opened = openedOf(upstream);
      return opened instanceof Promise ? opened.then(({ headers }) => headers) : opened.headers;
    },
    async envOf(upstream) {
      return upstream.sealedSecrets === '' ? NO_CREDENTIALS : (await openedOf(upstream)).env;
    },
  };
}

function headersFrom(auth: UpstreamAuth, secrets: UpstreamSecrets): Texts {
  const authorization = authorizationOf(auth, secrets);
  return Object.freeze({ ...secrets.headers, ...(authorization === undefined ? {} : { authorization }) });
}

/** RFC 6750 section 2.1 and RFC 7617 section 2. */
function authorizationOf(auth: UpstreamAuth, secrets: UpstreamSecrets): string | undefined {
  switch (auth.kind) {
    case 'none':
      return undefined;
    case 'bearer':
      return `Bearer ${secrets.bearerToken ?? ''}`;
    case 'basic':
      return `Basic ${Buffer.from(`${auth.username}:${secrets.basicPassword ?? ''}`).toString('base64')}`;
  }
}

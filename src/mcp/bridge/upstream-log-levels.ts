import { newId } from '../../domain/ids.ts';
import type { Channel } from '../../upstream/channels.ts';
import { isObject } from '../../upstream/message.ts';
import { GATEWAY_CLIENT } from '../../upstream/routes.ts';
import { isLoud, quieterOf } from './log-levels.ts';

export type UpstreamLogLevels = ReturnType<typeof createUpstreamLogLevels>;

interface Told {
  readonly level: string;
  readonly done: Promise<void>;
}

/** What upstreams send to clients that have not said a level, as far as that is common: one client's wish must not take it from another. */
const COMMON_LEVEL = 'info';
/** Longest silence of an upstream that is told a level, in milliseconds; the call that wants it goes on then. */
const TIMEOUT_MS = 5_000;

/** The levels that legacy upstreams were told, each that of the client of its channel that wants to hear most; who wants less is sent less. */
export function createUpstreamLogLevels() {
  const told = new WeakMap<Channel, Told>();

  /** Sees to it that the upstream sends messages of this level, where it can be told one; resolves when it does, or will not. */
  async function raise(channel: Channel, wanted: string | undefined): Promise<void> {
    if (wanted === undefined || !hasLogging(channel)) {
      return;
    }
    const known = told.get(channel);
    if (known !== undefined && isLoud(wanted, known.level)) {
      return known.done;
    }
    const level = quieterOf(wanted, known?.level ?? COMMON_LEVEL);
    const message = { jsonrpc: '2.0', id: newId(), method: 'logging/setLevel', params: { level } };
    const { signal } = new AbortController();
    const options = { client: GATEWAY_CLIENT, signal, onMessage: () => undefined, timeoutMs: TIMEOUT_MS };
    const done = channel.request(message, options).then(
      () => undefined,
      () => void told.delete(channel),
    );
    told.set(channel, { level, done });
    await done;
  }

  return { raise };
}

function hasLogging({ initializeResult }: Channel): boolean {
  const capabilities = initializeResult?.['capabilities'];
  return isObject(capabilities) && isObject(capabilities['logging']);
}

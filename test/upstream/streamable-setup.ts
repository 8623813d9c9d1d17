import { onTestFinished } from 'vitest';
import { type ChannelsOptions, channelsOf } from './channel-clients.ts';
import type { Listening } from './fixtures.ts';
import { httpClientOf } from './http-clients.ts';
import { type RawHandler, type RawUpstream, serveRaw } from './raw-http-upstream.ts';

/** Channels over HTTP, closed with the test. */
export function setUpChannels(options: ChannelsOptions = {}) {
  const http = httpClientOf();
  const { channels, close } = channelsOf(http.client, options);
  onTestFinished(async () => {
    await close();
    await http.close();
  });
  return { channels, pools: http.pools };
}

/** A server that stops with the test. */
export async function started<T extends Listening>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  onTestFinished(() => server.stop());
  return server;
}

/** A raw upstream that stops with the test. */
export function raw(handler?: RawHandler, changes?: Parameters<typeof serveRaw>[1]): Promise<RawUpstream> {
  return started(serveRaw(handler, changes));
}

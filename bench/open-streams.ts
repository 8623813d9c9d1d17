import { type ClientRequest, request } from 'node:http';

/** Event streams that are held open. */
export interface OpenStreams {
  /** How many are still open. */
  open(): number;
  close(): void;
}

/** Opens so many GET event streams, at most 50 at once; throws when one is not answered with an event stream. */
export async function openStreams(options: {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly count: number;
}): Promise<OpenStreams> {
  const streams = new Set<ClientRequest>();
  for (let opened = 0; opened < options.count; opened += 50) {
    const some = Math.min(50, options.count - opened);
    await Promise.all(Array.from({ length: some }, () => openStream(options, streams)));
  }
  return {
    open: () => streams.size,
    close() {
      for (const stream of streams) stream.destroy();
    },
  };
}

function openStream(
  options: { readonly port: number; readonly path: string; readonly headers: Readonly<Record<string, string>> },
  streams: Set<ClientRequest>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { Accept: 'text/event-stream', ...options.headers };
    const stream = request({ host: '127.0.0.1', port: options.port, path: options.path, headers, agent: false });
    streams.add(stream);
    stream.on('close', () => streams.delete(stream));
    stream.on('error', reject);
    stream.on('response', (response) => {
      const type = response.headers['content-type'] ?? '';
      response.on('error', () => {});
      response.resume();
      if (response.statusCode === 200 && type.includes('text/event-stream')) resolve();
      else reject(new Error(`GET ${options.path}: ${response.statusCode} ${type}`));
    });
    stream.end();
  });
}

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Transport, Upstream } from '../../src/domain/upstream.ts';
import { channelsOf, clientOf, connect, toolCall } from './channel-clients.ts';
import { upstreamOf } from './fixtures.ts';
import { httpClientOf, serveEverything } from './http-clients.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

function setUp() {
  const http = httpClientOf();
  const { channels, close } = channelsOf(http.client);
  cleanUps.push(http.close, close);
  return channels;
}

function stdio(command: string, args: readonly string[], changes: Partial<Upstream> = {}): Upstream {
  const transport: Transport = {
    kind: 'stdio',
    command,
    args,
    sharing: 'per_principal',
    maxProcesses: 4,
    idleTimeoutMs: 60_000,
  };
  return upstreamOf(transport, { timeoutMs: 20_000, ...changes });
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'portcullis-'));
  cleanUps.push(() => rm(path, { recursive: true }));
  return path;
}

/** 50 sessions of one principal with equal ids and progress tokens, each with its own text and duration. */
async function crowd(channels: ReturnType<typeof setUp>, upstream: Upstream): Promise<number> {
  let answered = 0;
  const clients = await Promise.all(
    Array.from({ length: 50 }, (_, index) => connect(channels, upstream, clientOf('ann', `s${index}`))),
  );
  await Promise.all(
    clients.map(async (client, index) => {
      const steps = 2 + (index % 4);
      const operation = client.send(
        toolCall(1, 'trigger-long-running-operation', { duration: steps / 10, steps }, { progressToken: 'p' }),
      );
      const echo = await client.send(toolCall(2, 'echo', { message: `client ${index}` }));
      expect(echo).toMatchObject({ id: 2, result: { content: [{ text: `Echo: client ${index}` }] } });
      expect(await operation).toMatchObject({
        id: 1,
        result: {
          content: [{ text: `Long running operation completed. Duration: ${steps / 10} seconds, Steps: ${steps}.` }],
        },
      });
      answered++;
      const progress = client.withCalls.filter(({ method }) => method === 'notifications/progress');
      expect(progress.map(({ params }) => params)).toEqual(
        Array.from({ length: steps }, (_, step) => ({ progress: step + 1, total: steps, progressToken: 'p' })),
      );
    }),
  );
  return answered;
}

describe('real servers through channels', () => {
  test('50 clients with equal ids and progress tokens on one server-everything over stdio', {
    timeout: 60_000,
  }, async () => {
    expect(await crowd(setUp(), stdio('mcp-server-everything', ['stdio']))).toBe(50);
  });

  test('50 clients with equal ids and progress tokens on one server-everything over SSE', {
    timeout: 60_000,
  }, async () => {
    const server = await serveEverything('sse');
    cleanUps.push(server.stop);
    const upstream = upstreamOf({ kind: 'sse', url: server.url, sharing: 'per_principal' }, { timeoutMs: 20_000 });
    expect(await crowd(setUp(), upstream)).toBe(50);
  });

  test('server-everything asks the client that called it for a sample', { timeout: 30_000 }, async () => {
    const channels = setUp();
    const upstream = stdio('mcp-server-everything', ['stdio']);
    const ann = await connect(channels, upstream, clientOf('ann', 's1', { sampling: {} }));
    const answer = ann.call('trigger-sampling-request', { prompt: 'hi', maxTokens: 5 });
    const question = await ann.first('sampling/createMessage');
    ann.channel.respond(ann.client, {
      jsonrpc: '2.0',
      id: question.id,
      result: { role: 'assistant', content: { type: 'text', text: 'a sampled text' }, model: 'm' },
    });
    expect((await answer).content[0]?.text).toContain('a sampled text');
  });

  test('server-memory keeps what it is told', { timeout: 30_000 }, async () => {
    const file = join(await folder(), 'memory.json');
    const upstream = stdio('mcp-server-memory', [], {
      sealedSecrets: JSON.stringify({ env: { MEMORY_FILE_PATH: file } }),
    });
    const ann = await connect(setUp(), upstream, clientOf('ann', 's1'));
    await ann.call('create_entities', { entities: [{ name: 'gate', entityType: 'thing', observations: ['is shut'] }] });
    expect((await ann.call('read_graph')).structuredContent.entities).toEqual([
      { name: 'gate', entityType: 'thing', observations: ['is shut'] },
    ]);
  });

  test('server-filesystem reads what it may', { timeout: 30_000 }, async () => {
    const path = await folder();
    await writeFile(join(path, 'a.txt'), 'content of a');
    const ann = await connect(setUp(), stdio('mcp-server-filesystem', [path]), clientOf('ann', 's1'));
    expect((await ann.call('read_text_file', { path: join(path, 'a.txt') })).content).toEqual([
      { type: 'text', text: 'content of a' },
    ]);
    expect((await ann.call('read_text_file', { path: '/etc/passwd' })).isError).toBe(true);
  });
});

import { createRouterTransport } from '@connectrpc/connect';
import { Client as ModernClient, InMemoryTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { InMemoryTransport as LegacyTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { McpServer as ModernServer, type ServerContext } from '@modelcontextprotocol/server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { Effect } from '../../gen/portcullis/v1/policy_rule_pb.ts';
import { createPortcullisClient } from '../src/client.ts';
import {
  AuthorizationDeniedError,
  createGuard,
  type Denial,
  type GuardableServer,
  type GuardMiddlewareOptions,
  guardMiddleware,
} from '../src/guard.ts';
import { routesOf } from './fake-gateway.ts';

/** A gateway that allows tools whose names begin with `may`, and what it was asked. */
function createGateway() {
  const asked: [tool: string, args: unknown][] = [];
  const denials: Denial[] = [];
  const client = createPortcullisClient({
    transport: createRouterTransport(
      routesOf({
        tools: {
          authorize: ({ tool, arguments: args }) => {
            asked.push([tool, args]);
            return tool.startsWith('may')
              ? { outcome: Effect.ALLOW, decisionId: `d${asked.length}` }
              : { outcome: Effect.DENY, decisionId: `d${asked.length}`, message: 'Not this one.' };
          },
        },
      }),
    ),
  });
  const options: GuardMiddlewareOptions = {
    client,
    agentId: 'bot',
    onDenied: (_, __, denial) => denials.push(denial),
  };
  return { asked, denials, options };
}

const NOT_THIS_ONE = { isError: true, content: [{ type: 'text', text: 'Authorization denied: Not this one.' }] };

const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

async function connectLegacy(server: LegacyServer) {
  const client = new LegacyClient({ name: 'test', version: '1' });
  const [a, b] = LegacyTransport.createLinkedPair();
  await server.connect(b);
  await client.connect(a);
  onTestFinished(() => client.close());
  return client;
}

async function connectModern(server: ModernServer) {
  const client = new ModernClient({ name: 'test', version: '1' });
  const [a, b] = ModernTransport.createLinkedPair();
  await server.connect(b);
  await client.connect(a);
  onTestFinished(() => client.close());
  return client;
}

/** What the tests need of a server, the same for both SDKs. */
interface Registration {
  update(updates: object): void;
  remove(): void;
  disable(): void;
  enable(): void;
}
interface TestServer extends GuardableServer {
  registerTool(name: string, config: object, handler: (...params: never[]) => unknown): Registration;
}
interface TestClient {
  callTool(params: { name: string; arguments?: Record<string, unknown> }): Promise<unknown>;
  listTools(): Promise<{ tools: { name: string; inputSchema: object; outputSchema?: object | undefined }[] }>;
}

const sdks = [
  {
    name: 'MCP SDK 1.x',
    newSchema: { m: z.string() },
    createServer: () => new LegacyServer({ name: 'shop', version: '1' }) as unknown as TestServer,
    connect: (server: TestServer): Promise<TestClient> => connectLegacy(server as unknown as LegacyServer),
  },
  {
    name: 'MCP SDK 2.x',
    newSchema: z.object({ m: z.string() }),
    createServer: () => new ModernServer({ name: 'shop', version: '1' }) as unknown as TestServer,
    connect: (server: TestServer): Promise<TestClient> => connectModern(server as unknown as ModernServer),
  },
];

describe.each(sdks)('guardMiddleware of a server with the $name', ({ createServer, connect, newSchema }) => {
  it('guards the tools that are registered before and after, and those after the server is connected', async () => {
    const { asked, denials, options } = createGateway();
    const server = createServer();
    const ran: string[] = [];
    const register = (name: string) =>
      server.registerTool(name, { inputSchema: z.object({ n: z.number() }) }, ({ n }: { n: number }) => {
        ran.push(name);
        return text(`${name} ${n}`);
      });
    register('may-before');
    register('no-before');
    guardMiddleware(server, options);
    register('may-after');
    register('no-after');
    const client = await connect(server);
    register('may-late');
    register('no-late');

    for (const when of ['before', 'after', 'late']) {
      expect(await client.callTool({ name: `may-${when}`, arguments: { n: 1 } })).toEqual(text(`may-${when} 1`));
      expect(await client.callTool({ name: `no-${when}`, arguments: { n: 2 } })).toEqual(NOT_THIS_ONE);
    }

    expect(ran).toEqual(['may-before', 'may-after', 'may-late']);
    expect(asked).toHaveLength(6);
    expect(denials.map(({ toolName, kind, decisionId }) => [toolName, kind, decisionId])).toEqual([
      ['no-before', 'denied', 'd2'],
      ['no-after', 'denied', 'd4'],
      ['no-late', 'denied', 'd6'],
    ]);
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual([
      'may-before',
      'no-before',
      'may-after',
      'no-after',
      'may-late',
      'no-late',
    ]);
  });

  it('validates first, and asks about what the handler gets', async () => {
    const { asked, denials, options } = createGateway();
    const server = createServer();
    const got: unknown[] = [];
    guardMiddleware(server, options);
    const inputSchema = z.object({ amount: z.number().max(100), currency: z.string().default('EUR') });
    server.registerTool('may-pay', { inputSchema }, (args: unknown) => {
      got.push(args);
      return text('paid');
    });
    const client = await connect(server);

    expect(await client.callTool({ name: 'may-pay', arguments: { amount: 'much' } })).toMatchObject({ isError: true });
    expect(await client.callTool({ name: 'may-pay', arguments: { amount: 101 } })).toMatchObject({ isError: true });
    expect(asked).toEqual([]);
    expect(await client.callTool({ name: 'may-pay', arguments: { amount: 20, extra: true } })).toEqual(text('paid'));

    expect(asked).toEqual([['may-pay', { amount: 20, currency: 'EUR' }]]);
    expect(got).toEqual([{ amount: 20, currency: 'EUR' }]);
    expect(denials).toEqual([]);
  });

  it('asks about no arguments for a tool without an input schema', async () => {
    const { asked, options } = createGateway();
    const server = createServer();
    const extras: unknown[] = [];
    guardMiddleware(server, options);
    server.registerTool('may-list', {}, (...params: unknown[]) => {
      extras.push(...params);
      return text('listed');
    });
    server.registerTool('no-list', { description: 'Lists.' }, () => text('listed'));
    const client = await connect(server);

    expect(await client.callTool({ name: 'may-list', arguments: { sneaky: 1 } })).toEqual(text('listed'));
    expect(await client.callTool({ name: 'no-list' })).toEqual(NOT_THIS_ONE);

    expect(asked).toEqual([
      ['may-list', {}],
      ['no-list', {}],
    ]);
    expect(extras).toHaveLength(1);
  });

  it('keeps output schemas, and denies tools that have one', async () => {
    const { options } = createGateway();
    const server = createServer();
    guardMiddleware(server, options);
    const outputSchema = z.object({ total: z.number() });
    const answer = (total: unknown) => () => ({ ...text('total'), structuredContent: { total } });
    server.registerTool('may-sum', { outputSchema }, answer(7));
    server.registerTool('may-fail', { outputSchema }, answer('seven'));
    server.registerTool('no-sum', { outputSchema }, answer(7));
    const client = await connect(server);

    expect(await client.callTool({ name: 'may-sum' })).toMatchObject({ structuredContent: { total: 7 } });
    expect(await client.callTool({ name: 'may-fail' })).toMatchObject({ isError: true });
    expect(await client.callTool({ name: 'no-sum' })).toEqual(NOT_THIS_ONE);
    expect((await client.listTools()).tools[0]?.outputSchema).toMatchObject({
      properties: { total: { type: 'number' } },
    });
  });

  it('guards a tool that is updated or renamed, under its present name, and none that is removed or disabled', async () => {
    const { asked, options } = createGateway();
    const server = createServer();
    guardMiddleware(server, options);
    const ran: string[] = [];
    const inputSchema = z.object({ n: z.number() });
    const handler = (label: string) => () => {
      ran.push(label);
      return text(label);
    };
    const tool = server.registerTool('may-first', { inputSchema }, handler('first'));
    const client = await connect(server);
    const call = (name: string, args = {}) => client.callTool({ name, arguments: args });

    tool.update({ callback: handler('second') });
    expect(await call('may-first', { n: 1 })).toEqual(text('second'));
    tool.update({ name: 'no-first' });
    expect(await call('no-first', { n: 1 })).toEqual(NOT_THIS_ONE);
    tool.update({ callback: handler('third') });
    expect(await call('no-first', { n: 1 })).toEqual(NOT_THIS_ONE);
    tool.update({ paramsSchema: newSchema });
    expect(await call('no-first', { n: 1 })).toMatchObject({ isError: true });
    expect(asked).toHaveLength(3);
    expect(await call('no-first', { m: 'x' })).toEqual(NOT_THIS_ONE);
    tool.disable();
    await call('no-first', { m: 'x' }).catch(() => {});
    tool.enable();
    expect(await call('no-first', { m: 'x' })).toEqual(NOT_THIS_ONE);
    const gone = server.registerTool('may-go', {}, handler('gone'));
    gone.remove();
    await call('may-go').catch(() => {});
    server.registerTool('may-go', {}, handler('back'));
    expect(await call('may-go')).toEqual(text('back'));

    expect(ran).toEqual(['second', 'back']);
    expect(asked.map(([name]) => name)).toEqual([
      'may-first',
      'no-first',
      'no-first',
      'no-first',
      'no-first',
      'may-go',
    ]);
  });

  it('throws in place of the handler what the SDK sends as the result, and lets other errors be', async () => {
    const { options } = createGateway();
    const server = createServer();
    guardMiddleware(server, options);
    server.registerTool('may-throw', {}, () => {
      throw new Error('The shop is closed.');
    });
    const client = await connect(server);

    expect(await client.callTool({ name: 'may-throw' })).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: 'The shop is closed.' }],
    });
  });

  it('asks every guard of a server that has several', async () => {
    const first = createGateway();
    const second = createGateway();
    const server = createServer();
    guardMiddleware(server, first.options);
    guardMiddleware(server, second.options);
    server.registerTool('may-do', {}, () => text('done'));
    const client = await connect(server);

    expect(await client.callTool({ name: 'may-do' })).toEqual(text('done'));
    expect([first.asked.length, second.asked.length]).toEqual([1, 1]);
  });

  it('refuses a tool that has a function it does not know, which might run it', () => {
    const { options } = createGateway();
    const server = createServer();
    const registry = server as unknown as { _registeredTools: Record<string, object> };
    server.registerTool('may-do', {}, () => text('done'));
    const [tool] = Object.values(registry._registeredTools);

    const other = createServer() as TestServer & { _registeredTools: Record<string, object> };
    other._registeredTools['old'] = { ...tool, runFast: () => text('done') };
    expect(() => guardMiddleware(other, options)).toThrow("tools with 'runFast'");
    guardMiddleware(server, options);
    expect(() => {
      registry._registeredTools['new'] = { ...tool, runFast: () => text('done') };
    }).toThrow("tools with 'runFast', which guardMiddleware does not know");
    expect(() => {
      registry._registeredTools['new'] = { enabled: true };
    }).toThrow('not known to guardMiddleware');
    expect(() => {
      registry._registeredTools = {};
    }).toThrow(TypeError);
  });

  it('wraps a handler with createGuard in place', async () => {
    const { asked, options } = createGateway();
    const { client: portcullis, ...guardOptions } = options;
    const guard = createGuard(portcullis, guardOptions);
    const server = createServer();
    const inputSchema = z.object({ n: z.number() });
    server.registerTool(
      'a',
      { inputSchema },
      guard('may-a', ({ n }: { n: number }) => text(`a ${n}`)),
    );
    server.registerTool(
      'b',
      {},
      guard('may-b', () => text('b')),
    );
    server.registerTool(
      'c',
      { inputSchema, outputSchema: z.object({}) },
      guard('no-c', () => text('c')),
    );
    const client = await connect(server);

    expect(await client.callTool({ name: 'a', arguments: { n: 1 } })).toEqual(text('a 1'));
    expect(await client.callTool({ name: 'b', arguments: { n: 1 } })).toEqual(text('b'));
    expect(await client.callTool({ name: 'c', arguments: { n: 1 } })).toEqual(NOT_THIS_ONE);
    expect(asked).toEqual([
      ['may-a', { n: 1 }],
      ['may-b', {}],
      ['no-c', { n: 1 }],
    ]);
  });

  it('heeds a client that cancels', async () => {
    const { asked, denials, options } = createGateway();
    let answer = () => {};
    const waiting = new Promise<void>((resolve) => (answer = resolve));
    const slow = createPortcullisClient({
      transport: createRouterTransport(
        routesOf({
          tools: {
            authorize: async () => {
              asked.push(['slow', {}]);
              await waiting;
              return { outcome: Effect.ALLOW, decisionId: 'd1' };
            },
          },
        }),
      ),
    });
    const server = createServer();
    const ran: string[] = [];
    guardMiddleware(server, { ...options, client: slow });
    server.registerTool('slow', {}, () => {
      ran.push('slow');
      return text('done');
    });
    const client = (await connect(server)) as TestClient & {
      callTool(params: object, second?: unknown, third?: unknown): Promise<unknown>;
    };
    const aborter = new AbortController();
    const isLegacy = client instanceof LegacyClient;
    const call = isLegacy
      ? client.callTool({ name: 'slow' }, undefined, { signal: aborter.signal })
      : client.callTool({ name: 'slow' }, { signal: aborter.signal });
    call.catch(() => {});
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));

    aborter.abort();
    await expect(call).rejects.toThrow(/abort/i);
    while (denials.length === 0) await new Promise((resolve) => setImmediate(resolve));
    answer();
    await new Promise((resolve) => setImmediate(resolve));

    expect(denials.map(({ kind }) => kind)).toEqual(['canceled']);
    expect(ran).toEqual([]);
  });
});

it('lets both SDKs infer the parameters of a guarded handler, and takes both servers', () => {
  const { options } = createGateway();
  const guard = createGuard(options.client, options);
  const legacy = new LegacyServer({ name: 'shop', version: '1' });
  const modern = new ModernServer({ name: 'shop', version: '1' });
  guardMiddleware(legacy, options);
  guardMiddleware(modern, options);

  legacy.registerTool(
    'pay',
    { inputSchema: { amount: z.number() }, outputSchema: { paid: z.boolean() } },
    guard('pay', async ({ amount }, { requestId }) => text(`${amount.toFixed(2)} ${requestId}`)),
  );
  legacy.registerTool(
    'list',
    {},
    guard('list', async ({ requestId }: { requestId: string | number }) => text(`${requestId}`)),
  );
  modern.registerTool(
    'pay',
    { inputSchema: z.object({ amount: z.number() }), outputSchema: z.object({ paid: z.boolean() }) },
    guard('pay', async ({ amount }, { mcpReq }) => text(`${amount.toFixed(2)} ${mcpReq.id}`)),
  );
  modern.registerTool(
    'list',
    {},
    guard('list', async ({ mcpReq }: ServerContext) => text(`${mcpReq.id}`)),
  );

  expect(new AuthorizationDeniedError({ kind: 'denied', toolName: 'pay', reason: 'No.' })).toMatchObject({
    name: 'AuthorizationDeniedError',
    message: 'Authorization denied: No.',
    denial: { kind: 'denied', toolName: 'pay', reason: 'No.' },
  });
});

describe('of the MCP SDK 1.x', () => {
  it('guards the tools of server.tool', async () => {
    const { asked, options } = createGateway();
    const server = new LegacyServer({ name: 'shop', version: '1' });
    guardMiddleware(server, options);
    server.tool('may-bare', () => text('bare'));
    server.tool('no-bare', 'Says no.', () => text('bare'));
    server.tool('may-args', { n: z.number() }, ({ n }) => text(`${n}`));
    server.tool('no-args', 'Says no.', { n: z.number() }, { readOnlyHint: true }, ({ n }) => text(`${n}`));
    const client = await connectLegacy(server);

    expect(await client.callTool({ name: 'may-bare' })).toEqual(text('bare'));
    expect(await client.callTool({ name: 'no-bare' })).toEqual(NOT_THIS_ONE);
    expect(await client.callTool({ name: 'may-args', arguments: { n: 3 } })).toEqual(text('3'));
    expect(await client.callTool({ name: 'no-args', arguments: { n: 3 } })).toEqual(NOT_THIS_ONE);
    expect(asked.map(([name]) => name)).toEqual(['may-bare', 'no-bare', 'may-args', 'no-args']);
  });

  it('guards tools that make tasks, whether the SDK or the client waits for them', async () => {
    const { asked, options } = createGateway();
    const taskStore = new InMemoryTaskStore();
    const server = new LegacyServer({ name: 'shop', version: '1' }, { taskStore });
    guardMiddleware(server, options);
    const made: unknown[] = [];
    for (const name of ['may-task', 'no-task']) {
      server.experimental.tasks.registerToolTask(
        name,
        { inputSchema: { n: z.number() }, execution: { taskSupport: 'optional' } },
        {
          createTask: async ({ n }, { taskStore: store }) => {
            made.push([name, n]);
            const task = await store.createTask({ ttl: 60_000, pollInterval: 5 });
            await store.storeTaskResult(task.taskId, 'completed', text(`task ${n}`));
            return { task };
          },
          getTask: (_, { taskId, taskStore: store }) => store.getTask(taskId),
          getTaskResult: (_, { taskId, taskStore: store }) => store.getTaskResult(taskId) as never,
        },
      );
    }
    const client = await connectLegacy(server);

    expect(await client.callTool({ name: 'may-task', arguments: { n: 1 } })).toMatchObject(text('task 1'));
    expect(await client.callTool({ name: 'no-task', arguments: { n: 2 } })).toEqual(NOT_THIS_ONE);
    expect(asked).toEqual([
      ['may-task', { n: 1 }],
      ['no-task', { n: 2 }],
    ]);
    expect(made).toEqual([['may-task', 1]]);
  });
});

it('refuses what is no McpServer, and options that can not work', () => {
  const { options } = createGateway();
  const modern = new ModernServer({ name: 'shop', version: '1' });

  expect(() => guardMiddleware({ server: {}, registerTool: () => {} }, options)).toThrow('wrap its handlers');
  expect(() => guardMiddleware(modern.server as unknown as GuardableServer, options)).toThrow('wrap its handlers');
  expect(() => guardMiddleware(modern, { ...options, agentId: '' })).toThrow('The option agentId');
});

/**
 * A stdio upstream that misbehaves on request: each tool is one way to do so. Run as `node fake-stdio-upstream.ts [--modern] [--stubborn] [--refuse]`.
 * Arguments of a call: `{"name": "<tool>", "arguments": {…}}`.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

type Json = Record<string, unknown>;
/** Of a request; clients of this fake use no others. */
type Id = string | number;

const send = (message: Json) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const asked = new Map<unknown, (answer: Json) => void>();
const received: Json[] = [];
let lastId = 0;
let initializeParams: unknown;

const tools: Record<string, (id: Id, args: Json, meta: Json) => void> = {
  echo: (id, args) => answer(id, args),
  received: (id) => answer(id, { received }),
  initialized: (id) => answer(id, { initializeParams }),
  environment: (id) => answer(id, { env: process.env }),
  pid: (id) => answer(id, { pid: process.pid }),
  child(id) {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    answer(id, { pid: process.pid, child: child.pid });
  },
  crash(_id, args) {
    process.stderr.write(`first line\n${typeof args.say === 'string' ? args.say : 'out of tools'}\n`, () =>
      process.exit(3),
    );
  },
  hang: () => undefined,
  freeze: () => {
    for (;;) {
      // Not even a ping is answered.
    }
  },
  garbage(id) {
    process.stdout.write('hello, I am a log line\n{"jsonrpc":\n[1,2]\n\n');
    answer(id, { ok: true });
  },
  huge: () => process.stdout.write('x'.repeat(17 * 1024 * 1024)),
  large: (id, args) => answer(id, { text: 'y'.repeat(Number(args.size)) }),
  longNumber: (id) => process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"id":12345678901234567890}}\n`),
  nullError: () =>
    process.stdout.write('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}\n'),
  batch: (id) =>
    process.stdout.write(
      `[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":${id},"result":{"b":1}}]\n`,
    ),
  progress(id, args, meta) {
    let step = 0;
    const timer = setInterval(() => {
      step++;
      send({ method: 'notifications/progress', params: { progressToken: meta.progressToken, progress: step } });
      if (step === args.steps) {
        clearInterval(timer);
        answer(id, args);
      }
    }, Number(args.everyMs));
  },
  notify(id, args) {
    send(args.message as Json);
    answer(id, {});
  },
  ask(id, args) {
    const askId = args.askId ?? ++lastId;
    asked.set(askId, (reply) => answer(id, { asked: args.method, reply }));
    send({ id: askId, method: args.method, params: { question: args.question } });
  },
  askLater(id, args) {
    answer(id, {});
    send({ id: args.askId, method: args.method, params: {} });
  },
  askAndCancel(id, args) {
    send({ id: 'taken-back', method: args.method, params: {} });
    send({ method: 'notifications/cancelled', params: { requestId: 'taken-back', reason: 'never mind' } });
    answer(id, {});
  },
};

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';
const listens = new Set<Id>();

/** What only a modern upstream does; started with `--modern`. */
const modernMethods: Record<string, (id: Id, params: Json) => void> = {
  'server/discover': (id) =>
    answer(id, {
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'modern fake', version: '2' } },
    }),
  'subscriptions/listen'(id, params) {
    listens.add(id);
    send({
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta: { [SUBSCRIPTION]: id }, notifications: params.notifications },
    });
  },
};

Object.assign(tools, {
  change(id: Id) {
    for (const listen of listens) {
      send({ method: 'notifications/tools/list_changed', params: { _meta: { [SUBSCRIPTION]: listen } } });
    }
    answer(id, {});
  },
  endListens(id: Id, args: Json) {
    for (const listen of listens) {
      if (args.how === 'answer') {
        answer(listen, { resultType: 'complete', _meta: { [SUBSCRIPTION]: listen } });
      } else {
        send({ method: 'notifications/cancelled', params: { requestId: listen } });
      }
    }
    listens.clear();
    answer(id, {});
  },
});

function answer(id: Id, result: unknown): void {
  send({ id, result });
}

function onMessage(message: Json & { id?: Id; method?: string }): void {
  const { id, method } = message;
  received.push(message);
  if (method === undefined) {
    asked.get(id)?.(message);
    asked.delete(id);
  } else if (process.argv.includes('--modern') && modernMethods[method] !== undefined) {
    modernMethods[method]?.(id as Id, (message.params ?? {}) as Json);
  } else if (method === 'initialize' && !process.argv.includes('--modern')) {
    initializeParams = message.params;
    const { protocolVersion } = message.params as Json;
    answer(id as Id, { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'fake', version: '1' } });
  } else if (method === 'tools/call') {
    const { name, arguments: args, _meta } = message.params as Json;
    tools[String(name)]?.(id as Id, (args ?? {}) as Json, (_meta ?? {}) as Json);
  } else if (id !== undefined) {
    send({ id, error: { code: -32601, message: `no ${method}` } });
  }
}

if (process.argv.includes('--refuse')) {
  process.stderr.write('cannot read /etc/token s3cret-value\n', () => process.exit(1));
}
if (process.argv.includes('--stubborn')) {
  process.on('SIGTERM', () => undefined);
  setInterval(() => undefined, 1000);
}
createInterface({ input: process.stdin }).on('line', (line) => onMessage(JSON.parse(line) as Json));

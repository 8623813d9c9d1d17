/**
 * An upstream whose lists a test writes: over stdio, run as a program that a test steers through a socket, or over HTTP within the test's
 * own process. Run as `node scripted-upstream.ts <port of the test>`.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type Json = Record<string, unknown>;

/** What the upstream is like. */
export interface Script {
  readonly era: 'legacy' | 'modern' | 'both';
  readonly capabilities: Json;
  readonly tools: readonly Json[];
  readonly prompts: readonly Json[];
  readonly resources: readonly Json[];
  readonly resourceTemplates: readonly Json[];
  /** Items of one page; absent = all. */
  readonly pageSize?: number;
  readonly ttlMs?: number;
  /** Methods that are never answered. */
  readonly silent?: readonly string[];
  /** Methods that are answered with an error. */
  readonly errors?: Readonly<Record<string, { readonly code: number; readonly message: string }>>;
  /** Methods that are answered with this result, whatever they ask for. */
  readonly results?: Readonly<Record<string, unknown>>;
  /** A request that it sends with every answer to `tools/list`. */
  readonly asks?: string;
  /** A notification that it sends with every answer to `tools/list`. */
  readonly says?: string;
  /** A subscription is agreed to for these only. */
  readonly agrees?: readonly string[];
}

export const PLAIN_SCRIPT: Script = {
  era: 'legacy',
  capabilities: { tools: { listChanged: true } },
  tools: [{ name: 'one' }, { name: 'two' }],
  prompts: [],
  resources: [],
  resourceTemplates: [],
};

const LISTS: Readonly<Record<string, 'tools' | 'prompts' | 'resources' | 'resourceTemplates'>> = {
  'tools/list': 'tools',
  'prompts/list': 'prompts',
  'resources/list': 'resources',
  'resources/templates/list': 'resourceTemplates',
};
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

/** The upstream's side of a conversation. */
export interface Conversation {
  /** Takes one message of the client. */
  take(message: Json): void;
  /** Says that a list was changed: to legacy clients, and to all who subscribed. */
  changed(list: string): void;
  /** Ends the subscriptions in order. */
  endListens(): void;
}

/** One conversation; `script` tells what the upstream is like right now. */
export function converse(script: () => Script, send: (message: Json, to?: unknown) => void): Conversation {
  const listens = new Map<unknown, Json>();
  const answer = (id: unknown, result: unknown) => send({ id, result }, id);

  const page = (method: string, params: Json): Json => {
    const { pageSize, ttlMs, era, ...rest } = script();
    const field = LISTS[method] ?? 'tools';
    const items = rest[field];
    const start = Number(params.cursor ?? 0);
    const end = pageSize === undefined ? items.length : start + pageSize;
    return {
      ...(era === 'legacy' ? {} : { resultType: 'complete', cacheScope: 'public' }),
      ...(ttlMs === undefined ? {} : { ttlMs }),
      [field]: items.slice(start, end),
      ...(end < items.length ? { nextCursor: String(end) } : {}),
    };
  };

  const request = (id: unknown, method: string, params: Json): void => {
    const { era, capabilities, results, errors, asks, says, agrees, silent } = script();
    if (silent?.includes(method) === true) return;
    if (errors?.[method] !== undefined) return send({ id, error: errors[method] }, id);
    if (results !== undefined && method in results) return answer(id, results[method]);
    if (method === 'initialize' && era !== 'modern') {
      return answer(id, {
        protocolVersion: '2025-11-25',
        capabilities,
        serverInfo: { name: 'scripted', version: '1' },
      });
    }
    if (method === 'server/discover' && era !== 'legacy') {
      const _meta = { 'io.modelcontextprotocol/serverInfo': { name: 'scripted', version: '1' } };
      const supportedVersions = era === 'both' ? ['2026-07-28', '2025-11-25'] : ['2026-07-28'];
      return answer(id, { resultType: 'complete', supportedVersions, capabilities, instructions: 'Be kind.', _meta });
    }
    if (method === 'subscriptions/listen' && era !== 'legacy') {
      const wanted = params.notifications as Json;
      const agreed = Object.fromEntries(Object.entries(wanted).filter(([name]) => agrees?.includes(name) ?? true));
      listens.set(id, agreed);
      const told = { _meta: { [SUBSCRIPTION]: id }, notifications: agreed };
      return send({ method: 'notifications/subscriptions/acknowledged', params: told }, id);
    }
    if (asks !== undefined && method === 'tools/list') send({ id: 'asked', method: asks, params: {} });
    if (says !== undefined && method === 'tools/list') send({ method: says, params: { data: 'listing' } });
    if (LISTS[method] !== undefined) return answer(id, page(method, params));
    if (method === 'tools/call') return answer(id, { content: [{ type: 'text', text: JSON.stringify(params) }] });
    send({ id, error: { code: -32601, message: `no ${method}` } }, id);
  };

  return {
    take(message) {
      const params = (message.params ?? {}) as Json;
      if (message.method === 'notifications/cancelled') listens.delete(params.requestId);
      if (message.id !== undefined && typeof message.method === 'string') request(message.id, message.method, params);
    },
    changed(list) {
      const method = `notifications/${list}/list_changed`;
      if (script().era !== 'modern') send({ method });
      for (const [id, agreed] of listens) {
        if (agreed[`${list}ListChanged`] === true) send({ method, params: { _meta: { [SUBSCRIPTION]: id } } }, id);
      }
    },
    endListens() {
      for (const id of listens.keys()) answer(id, { resultType: 'complete', _meta: { [SUBSCRIPTION]: id } });
      listens.clear();
    },
  };
}

/** What a test tells the program. */
export type Command =
  | { readonly do: 'script'; readonly script: Script }
  | { readonly do: 'changed'; readonly list: string; readonly times: number }
  | { readonly do: 'endListens' }
  | { readonly do: 'crash' };

/** This file, to be run with Node. */
export const SCRIPTED_PROGRAM = fileURLToPath(import.meta.url);

function run(port: number): void {
  const test = connect(port, '127.0.0.1');
  const waiting: Json[] = [];
  let script: Script | undefined;
  const conversation = converse(
    () => script ?? PLAIN_SCRIPT,
    (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`),
  );
  const obey = (command: Command): void => {
    if (command.do === 'script') {
      script = command.script;
      for (const message of waiting.splice(0)) conversation.take(message);
    } else if (command.do === 'changed') {
      for (let time = 0; time < command.times; time++) conversation.changed(command.list);
    } else if (command.do === 'endListens') {
      conversation.endListens();
    } else {
      process.exit(1);
    }
  };
  test.on('error', () => process.exit(1)).on('close', () => process.exit(0));
  createInterface({ input: test }).on('line', (line) => {
    obey(JSON.parse(line) as Command);
    test.write('"done"\n');
  });
  const stdin = createInterface({ input: process.stdin });
  stdin.on('close', () => process.exit(0));
  stdin.on('line', (line) => {
    const message = JSON.parse(line) as Json;
    test.write(`${JSON.stringify({ pid: process.pid, message })}\n`);
    if (script === undefined) waiting.push(message);
    else conversation.take(message);
  });
}

if (process.argv[1] === SCRIPTED_PROGRAM) {
  run(Number(process.argv[2]));
}

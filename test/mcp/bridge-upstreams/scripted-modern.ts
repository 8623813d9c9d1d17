/**
 * A modern stdio upstream that does what a call says. Arguments of the tool `script`: `results`, one for each time it is called with the same
 * `key`, the last one from then on; `progress`, told before each result; `crashAt`, the time at which the process ends instead.
 * The tool `hang` tells of progress once, and never answers; `received` answers with all requests and notifications that came; `number` with a long number, and with all of them as they were written.
 */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

type Json = Record<string, unknown>;
interface Message extends Json {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Json & { readonly _meta?: Json };
}
interface Script {
  readonly key: string;
  readonly results: readonly Json[];
  readonly progress?: readonly number[];
  readonly crashAt?: number;
}

const send = (message: Json) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const received: Message[] = [];
const lines: string[] = [];
const times = new Map<string, number>();

function run({ id, params }: Message): void {
  const { key, results, progress = [], crashAt } = (params ?? {})['arguments'] as Script;
  const time = times.get(key) ?? 0;
  times.set(key, time + 1);
  if (time === crashAt) {
    process.exit(1);
  }
  for (const step of progress) {
    const progressToken = params?._meta?.['progressToken'];
    send({ method: 'notifications/progress', params: { progressToken, progress: step, total: 10 } });
  }
  send({ id, result: results[Math.min(time, results.length - 1)] });
}

function onMessage(message: Message): void {
  const { id, method, params } = message;
  if (method === 'server/discover') {
    send({ id, result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } });
  } else if (params?.['name'] === 'received') {
    send({ id, result: { resultType: 'complete', received } });
  } else if (params?.['name'] === 'number') {
    const result = `{"n":12345678901234567890,"lines":${JSON.stringify(lines.join(''))}}`;
    process.stdout.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}\n`);
  } else if (params?.['name'] === 'script') {
    received.push(message);
    run(message);
  } else {
    received.push(message);
    if (params?.['name'] === 'hang') {
      const progressToken = params._meta?.['progressToken'];
      send({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    }
  }
}

/** This file, to be run with Node. */
export const SCRIPTED_PROGRAM = fileURLToPath(import.meta.url);

if (process.argv[1] === SCRIPTED_PROGRAM) {
  createInterface({ input: process.stdin }).on('line', (line) => {
    lines.push(line);
    onMessage(JSON.parse(line) as Message);
  });
}

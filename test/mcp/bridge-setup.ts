import { afterEach } from 'vitest';
import type { Upstream } from '../../src/domain/upstream.ts';
import { upstreamOf } from '../upstream/fixtures.ts';
import { type BridgeFace, type BridgeFaceOptions, startBridgeFace } from './bridge-face.ts';
import { SCRIPTED_PROGRAM } from './bridge-upstreams/scripted-modern.ts';
import { type Caller, type Json, openSession, type Posted, post, postModern, toolCall } from './mcp-client.ts';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) {
    await cleanUp();
  }
});

/** A bridge that is stopped after the test. */
export async function startFace(options: BridgeFaceOptions): Promise<BridgeFace> {
  const face = await startBridgeFace(options);
  cleanUps.push(face.stop);
  return face;
}

/** A Node program as a stdio upstream. */
export function programOf(path: string, changes: Partial<Upstream> = {}): Upstream {
  const stdio = { sharing: 'per_principal', maxProcesses: 4, idleTimeoutMs: 60_000 } as const;
  return upstreamOf(
    { kind: 'stdio', command: process.execPath, args: [path], ...stdio },
    { timeoutMs: 20_000, ...changes },
  );
}

/** The scripted modern upstream. */
export const scripted = () => programOf(SCRIPTED_PROGRAM, { era: 'modern' });

export const FORM = { method: 'elicitation/create', params: { message: 'Name?', requestedSchema: { type: 'object' } } };
export const ROOTS = { method: 'roots/list' };
export const EVERYTHING = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
export const ACCEPTED = { action: 'accept', content: { name: 'Ann' } };

/** A legacy client with a session. */
export async function legacyClient(face: { readonly url: string }, key = 'alice', capabilities: Json = EVERYTHING) {
  const caller: Caller = await openSession({ url: face.url, key }, capabilities);
  return {
    caller,
    call: (name: string, args?: Json, more?: Json, id: string | number = 1): Promise<Posted> =>
      post(caller, toolCall(id, name, args, more)),
    /** The HTTP status of a response to what was asked. */
    answer: async (asked: Json | undefined, said: Json): Promise<number> =>
      (await post(caller, { jsonrpc: '2.0', id: asked?.['id'], ...said })).status,
    notify: async (method: string, params: Json): Promise<number> =>
      (await post(caller, { jsonrpc: '2.0', method, params })).status,
    setLevel: async (level: string) =>
      (await post(caller, { jsonrpc: '2.0', id: 99, method: 'logging/setLevel', params: { level } })).rest(),
  };
}

/** A modern client. */
export function modernClient(face: { readonly url: string }, key = 'alice', capabilities: Json = EVERYTHING) {
  const caller: Caller = { url: face.url, key };
  const call = (name: string, args?: Json, more?: Json, id: string | number = 1): Promise<Posted> =>
    postModern(caller, toolCall(id, name, args, more), capabilities);
  return {
    caller,
    call,
    /** The one message of the answer. */
    ask: async (...given: Parameters<typeof call>): Promise<Answer> => {
      const messages = await (await call(...given)).rest();
      return messages.at(-1) as Answer;
    },
  };
}

export interface Answer extends Json {
  readonly id: unknown;
  readonly result: Json & { readonly inputRequests: Record<string, Json>; readonly requestState: string };
  readonly error: { readonly code: number; readonly message: string; readonly data?: Json };
}

/** What a fake or scripted upstream has received. */
export async function receivedBy(client: { call(name: string): Promise<Posted> }): Promise<readonly Received[]> {
  const answer = (await (await client.call('received')).rest()).at(-1) as { result: { received: readonly Received[] } };
  return answer.result.received;
}

export interface Received extends Json {
  readonly method?: string;
  readonly params?: Json & { readonly _meta?: Json };
  readonly error?: { readonly code: number; readonly message: string };
}

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import type { PortcullisClient } from '../../sdk/src/client.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { stdio, streamableHttp } from './support-api.ts';
import { type ChattyClient, connectChatty } from './support-chatty-clients.ts';
import { CHATTY_PROGRAM, CHATTY_TOOLS, serveChatty } from './support-chatty-upstream.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callerOf } from './support-mcp-session.ts';
import { operatorOf } from './support-policies.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

const ROUNDS = 40;
/** What is known of an upstream that says nothing about how long it is good gets old meanwhile. */
const WORK_MS = 2_500;
/** Far above what a list or call takes even on a busy machine, and far below the time for which anything waits for the upstream that hangs. */
const LONGEST_MS = 3_000;
/** The upstream that hangs may stay silent for this long. */
const TIMEOUT = { seconds: 120n, nanos: 0 };

const OTHERS = ['old', 'new', 'local'];
const TOOLS = OTHERS.flatMap((slug) => CHATTY_TOOLS.map((tool) => `${slug}_${tool}`)).sort();

let gateway: GatewayProcess;
let operator: PortcullisClient;
const cleanUp = createCleanUp();

beforeAll(async () => {
  gateway = await cleanUp.startGateway({
    env: { GATEWAY_STDIO_COMMANDS: process.execPath, GATEWAY_DEMO_UPSTREAM: 'false' },
  });
  const chatty = await cleanUp.add(serveChatty(), ({ stop }) => stop());
  operator = await operatorOf(gateway);
  const { createUpstream } = operator.upstreams;
  const program = stdio(process.execPath, [CHATTY_PROGRAM]);
  await createUpstream({ slug: 'old', era: Era.LEGACY, transport: streamableHttp(chatty.legacyUrl) });
  await createUpstream({ slug: 'new', era: Era.MODERN, transport: streamableHttp(chatty.modernUrl) });
  await createUpstream({ slug: 'local', era: Era.LEGACY, transport: program, toolFilter: { deniedTools: ['die'] } });
});

afterAll(cleanUp.run);

describe.each([
  { name: 'legacy', era: Era.LEGACY },
  { name: 'modern', era: Era.MODERN },
])('while an upstream of the $name era hangs, lists and calls of the others go on:', ({ name, era }) => {
  test('[I4-HANG] one that hangs after a while', { timeout: 60_000 }, async () => {
    const slug = `stuck-${name}`;
    const stuck = await compose(slug, era);
    for (const client of await connect(slug)) {
      stuck.silent.clear();
      await vi.waitFor(async () => expect(await client.tools()).toContain(`${slug}_look`), { timeout: 30_000 });
      stuck.silent.add('*');
      const hanging = pendingCall(client, `${slug}_look`);
      expect(await workBeside(client, slug)).toBeLessThan(LONGEST_MS);
      expect(hanging.isPending()).toBe(true);
    }
  });

  test('[I4-HANG] one that hangs from the beginning', { timeout: 60_000 }, async () => {
    const slug = `never-${name}`;
    await compose(slug, era, '*');
    for (const client of await connect(slug)) {
      await client.tools();
      expect(await workBeside(client, slug)).toBeLessThan(LONGEST_MS);
    }
  });

  // The bound of time is one of a machine that does little else, so it is tried once more.
  test('[I4-HANG] one that hangs only when it is asked for its tools', { timeout: 60_000, retry: 1 }, async () => {
    const slug = `listless-${name}-${++attempts}`;
    await compose(slug, era, 'tools/list');
    for (const client of await connect(slug)) {
      await client.tools();
      expect(await workBeside(client, slug)).toBeLessThan(LONGEST_MS);
    }
  });
});

let attempts = 0;

/** Makes a gateway of the others and of an upstream, both with this slug before their names, that is silent to these methods. */
async function compose(slug: string, era: Era, ...silent: string[]): Promise<RecordingUpstream> {
  const recorder = await cleanUp.add(startRecordingUpstream(), ({ stop }) => stop());
  for (const method of silent) {
    recorder.silent.add(method);
  }
  await operator.upstreams.createUpstream({ slug, era, transport: streamableHttp(recorder.url), timeout: TIMEOUT });
  const upstreams = [{ slug }, ...OTHERS.map((other) => ({ slug: other }))];
  await operator.gateways.createGateway({ slug: `with-${slug}`, upstreams });
  return recorder;
}

/** A client of each era. The first one may wait for the upstream that hangs, because nothing is known of it yet. */
function connect(slug: string): Promise<ChattyClient[]> {
  const { url, apiKey } = callerOf(gateway, `with-${slug}`);
  const eras = ['legacy', 'modern'] as const;
  return Promise.all(eras.map((era) => cleanUp.add(connectChatty({ url, apiKey, era }), (client) => client.close())));
}

/** A call that is sent, and whose answer nobody waits for. */
function pendingCall(client: ChattyClient, tool: string) {
  let isPending = true;
  const settled = () => {
    isPending = false;
  };
  client.call(tool, {}).then(settled, settled);
  return { isPending: () => isPending };
}

/** Lists, and calls the others, again and again; resolves with the longest time that one of these took, in milliseconds. */
async function workBeside(client: ChattyClient, slug: string): Promise<number> {
  let longestMs = 0;

  const timed = async <Value>(act: () => Promise<Value>): Promise<Value> => {
    const began = performance.now();
    const value = await act();
    longestMs = Math.max(longestMs, performance.now() - began);

    return value;
  };
  const until = performance.now() + WORK_MS;
  for (let round = 0; round < ROUNDS || performance.now() < until; round++) {
    const listed = await timed(client.tools);
    expect(listed.filter((tool) => !tool.startsWith(slug)).sort()).toEqual(TOOLS);
    for (const other of OTHERS) {
      const text = `${round}`;
      expect(await timed(() => client.call(`${other}_plain`, { text }))).toBe(`plain: ${text}`);
    }
  }
  return longestMs;
}

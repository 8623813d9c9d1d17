import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Era } from '../../gen/portcullis/v1/upstream_pb.ts';
import { createApiKey } from '../../src/authn/api-key.ts';
import { type Caller, type Json, type Posted, post, postModern, toolCall } from '../mcp/mcp-client.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { serveEverything } from '../upstream/http-clients.ts';
import { sse, stdio, streamableHttp } from './support-api.ts';
import { serveChatty } from './support-chatty-upstream.ts';
import { createCleanUp } from './support-clean-up.ts';
import { toolsOf } from './support-healing-world.ts';
import { callerOf, endSession, openSession, withoutListChanges } from './support-mcp-session.ts';
import { operatorOf } from './support-policies.ts';
import { replicaEnv } from './support-replicas.ts';

/** One call of each upstream and the text of its answer. */
const CALLS = [
  { name: 'files_echo', args: { message: 'a' }, text: 'Echo: a' },
  { name: 'events_echo', args: { message: 'b' }, text: 'Echo: b' },
  { name: 'old_plain', args: { text: 'c' }, text: 'plain: c' },
  { name: 'new_plain', args: { text: 'd' }, text: 'plain: d' },
];
const CAN_BE_ASKED = { elicitation: { form: {} } };
const SLOW_MS = 25_000;

let replicas: [GatewayProcess, GatewayProcess, GatewayProcess];
const cleanUp = createCleanUp();

beforeAll(async () => {
  const env = { ...(await replicaEnv()), GATEWAY_STDIO_COMMANDS: 'mcp-server-everything' };
  const start = (apiKey: string) => cleanUp.startGateway({ env, apiKey });
  const apiKey = createApiKey();
  replicas = await Promise.all([start(apiKey), start(apiKey), start(apiKey)]);
  const chatty = await cleanUp.add(serveChatty(), ({ stop }) => stop());
  const events = await cleanUp.add(serveEverything('sse'), ({ stop }) => stop());
  const { upstreams, gateways } = await operatorOf(replicas[0]);
  await upstreams.createUpstream({ slug: 'files', transport: stdio('mcp-server-everything', ['stdio']) });
  await upstreams.createUpstream({ slug: 'events', transport: sse(events.url) });
  await upstreams.createUpstream({ slug: 'old', era: Era.LEGACY, transport: streamableHttp(chatty.legacyUrl) });
  await upstreams.createUpstream({ slug: 'new', era: Era.MODERN, transport: streamableHttp(chatty.modernUrl) });
  const slugs = ['files', 'events', 'old', 'new'];
  await gateways.createGateway({ slug: 'all', upstreams: slugs.map((slug) => ({ slug })) });
  const isKnown = async (replica: GatewayProcess) => {
    const { status } = await post(at(replica), { jsonrpc: '2.0', id: 1, method: 'tools/list' });
    expect(status).toBe(400); // the session is missing; a slug that is not known is 404
  };
  await vi.waitFor(() => Promise.all(replicas.map(isKnown)), 10_000);
});

afterAll(cleanUp.run);

describe('one legacy session on three replicas', () => {
  test('[I4-REPLICAS] lists everything and calls every upstream, whichever replica gets the request', async () => {
    const session = await open();
    for (let turn = 0; turn < 12; turn++) {
      const here = at(turnOf(turn), session);
      const [listed] = await messagesOf(post(here, { jsonrpc: '2.0', id: `list ${turn}`, method: 'tools/list' }));
      expect(namesIn(listed)).toEqual(toolsOf(['files', 'events', 'old', 'new']));
      const call = CALLS[turn % CALLS.length];
      expect(await messagesOf(post(here, toolCall(turn, call?.name ?? '', call?.args)))).toMatchObject([
        { id: turn, result: { content: [{ type: 'text', text: call?.text }] } },
      ]);
    }
  });

  test.each(['old', 'new'])('answers what the upstream %s asked on one replica by way of another', async (slug) => {
    for (let turn = 0; turn < 6; turn++) {
      const session = await open(CAN_BE_ASKED);
      const text = `${slug} ${turn}`;
      const answer = await post(at(turnOf(turn), session), toolCall(turn, `${slug}_ask`, { text }));
      const question = await nextOf(answer, 'elicitation/create');
      expect(question['params']).toMatchObject({ message: text });
      const response = { jsonrpc: '2.0', id: question['id'], result: { action: 'accept', content: { answer: 'yes' } } };
      const taken = await post(at(turnOf(turn + 1), session), response);
      expect([taken.status, await taken.rest()]).toEqual([202, []]);
      expect(withoutListChanges([...(await answer.rest())])).toMatchObject([
        { id: turn, result: { content: [{ text: `ask: ${text}: yes` }] } },
      ]);
    }
  });

  test('is answered to by the session that was asked only, on any replica', async () => {
    const asked = await open(CAN_BE_ASKED);
    const other = await open(CAN_BE_ASKED);
    const answer = await post(at(replicas[0], asked), toolCall(1, 'old_ask', { text: 'mine' }));
    const { id } = await nextOf(answer, 'elicitation/create');
    const accept = (word: string) => ({
      jsonrpc: '2.0',
      id,
      result: { action: 'accept', content: { answer: word } },
    });
    for (const replica of replicas) {
      await messagesOf(post(at(replica, other), accept('theirs')));
    }
    await messagesOf(post(at(replicas[2], asked), accept('mine')));
    expect(withoutListChanges([...(await answer.rest())])).toMatchObject([
      { id: 1, result: { content: [{ text: 'ask: mine: mine' }] } },
    ]);
  });

  test.each(['old', 'new'])('cancels a call to %s by way of another replica', async (slug) => {
    const session = await open();
    const call = toolCall('long', `${slug}_slow`, { text: 'x', ms: SLOW_MS }, { _meta: { progressToken: 'p' } });
    const answer = await post(at(replicas[0], session), call);
    await nextOf(answer, 'notifications/progress');
    const began = performance.now();
    const params = { requestId: 'long', reason: 'enough' };
    await messagesOf(post(at(replicas[1], session), { jsonrpc: '2.0', method: 'notifications/cancelled', params }));
    expect(withoutListChanges([...(await answer.rest())])).toEqual([]);
    expect(performance.now() - began).toBeLessThan(SLOW_MS / 2);
  });

  test('is ended for all of them', async () => {
    const session = await open();
    expect(await endSession({ ...at(replicas[1], session), apiKey: replicas[1].apiKey })).toBe(200);
    for (const replica of replicas) {
      const isEnded = async () => {
        const { status } = await post(at(replica, session), { jsonrpc: '2.0', id: 1, method: 'tools/list' });
        expect(status).toBe(404);
      };
      await vi.waitFor(isEnded, { timeout: 5_000, interval: 10 });
    }
  });
});

describe('a modern client whose call waits for input at a legacy upstream', () => {
  test('[I4-REPLICAS] goes on with it on any replica, once', async () => {
    for (let turn = 0; turn < 6; turn++) {
      const text = `turn ${turn}`;
      const [required] = await messagesOf(ask(turnOf(turn), text));
      expect(required).toMatchObject({
        result: {
          resultType: 'input_required',
          inputRequests: { input_1: { method: 'elicitation/create', params: { message: text } } },
          requestState: expect.any(String),
        },
      });
      const retry = {
        requestState: stateIn(required),
        inputResponses: { input_1: { action: 'accept', content: { answer: 'yes' } } },
      };
      expect(await messagesOf(ask(turnOf(turn + 1), text, retry))).toMatchObject([
        { result: { resultType: 'complete', content: [{ text: `ask: ${text}: yes` }] } },
      ]);
      expect(await messagesOf(ask(turnOf(turn + 2), text, retry))).toMatchObject([
        { error: { code: -32602, message: "'params.requestState' has lapsed: repeat the call without it" } },
      ]);
    }
  });

  test('is told so when the replica that held it has ended', { timeout: 90_000 }, async () => {
    const [first, second] = replicas;
    const [required] = await messagesOf(ask(first, 'lost'));
    await first.kill();
    const retry = {
      requestState: stateIn(required),
      inputResponses: { input_1: { action: 'accept', content: { answer: 'yes' } } },
    };
    expect(await messagesOf(ask(second, 'lost', retry))).toMatchObject([
      {
        error: {
          code: -32603,
          message: 'The replica that held this call has ended. Repeat the call without its state.',
        },
      },
    ]);
  });
});

/** The gateway on a replica, within a session if one is given. */
function at(replica: GatewayProcess, session?: string): Caller {
  const { url, apiKey } = callerOf(replica, 'all');
  return { url, key: apiKey, ...(session === undefined ? {} : { sessionId: session }) };
}

function turnOf(turn: number): GatewayProcess {
  return replicas[turn % 3] as GatewayProcess; // there are three
}

/** Opens a legacy session on the first replica. */
async function open(capabilities: Json = {}): Promise<string> {
  const { sessionId = '' } = await openSession(callerOf(replicas[0], 'all'), capabilities);
  return sessionId;
}

function ask(replica: GatewayProcess, text: string, retry: Json = {}): Promise<Posted> {
  return postModern(at(replica), toolCall(1, 'old_ask', { text }, retry), CAN_BE_ASKED);
}

async function messagesOf(posting: Promise<Posted>): Promise<Json[]> {
  return withoutListChanges([...(await (await posting).rest())]);
}

/** The next message of this method; fails when the answer comes before it. */
async function nextOf(answer: Posted, method: string): Promise<Json> {
  for (;;) {
    const message = await answer.next();
    if (message === undefined || 'result' in message || 'error' in message) {
      throw new Error(`got ${JSON.stringify(message)} instead of ${method}`);
    }
    if (message['method'] === method) {
      return message;
    }
  }
}

function stateIn(required: Json | undefined): unknown {
  return (required as { result: Json }).result['requestState'];
}

function namesIn(listed: Json | undefined): string[] {
  return (listed as { result: { tools: { name: string }[] } }).result.tools.map(({ name }) => name).sort();
}

import { expect, test, vi } from 'vitest';
import type { RelayMessage } from '../../src/mcp/bridge/relay.ts';
import { createRunningRequests } from '../../src/mcp/bridge/running-requests.ts';
import type { McpPost } from '../../src/mcp/exchange.ts';

function setUp() {
  const told: RelayMessage[] = [];
  const running = createRunningRequests({ relay: { on: () => {}, sendToAll: (message) => void told.push(message) } });
  return { running, told };
}

/** A POST of which only the session and the message matter here. */
function postOf(sessionId: string, message: object): McpPost {
  return { session: { id: sessionId }, message } as unknown as McpPost;
}

const cancelOf = (sessionId: string, requestId: unknown) => postOf(sessionId, { params: { requestId } });

test('a cancellation that comes before its request is on its way cancels it then', async () => {
  const { running, told } = setUp();
  const onCancel = vi.fn<() => void>();
  const others = vi.fn<() => void>();

  expect(running.cancel(cancelOf('session-1', 7))).toBe(false);
  running.add(postOf('session-2', { id: 7 }), others);
  running.add(postOf('session-1', { id: '7' }), others);
  running.add(postOf('session-1', { id: 7 }), onCancel);

  await vi.waitFor(() => expect(onCancel).toHaveBeenCalledTimes(1));
  expect(others).not.toHaveBeenCalled();
  // It may be on its way elsewhere.
  expect(told).toEqual([{ kind: 'cancel', requestKey: 'session-1 7' }]);
});

test('a cancellation is used once', async () => {
  const { running } = setUp();
  const first = vi.fn<() => void>();
  const second = vi.fn<() => void>();
  running.cancel(cancelOf('session-1', 7));

  const forget = running.add(postOf('session-1', { id: 7 }), first);
  await vi.waitFor(() => expect(first).toHaveBeenCalled());
  forget();
  running.add(postOf('session-1', { id: 7 }), second);

  await new Promise((resolve) => setImmediate(resolve));
  expect(second).not.toHaveBeenCalled();
});

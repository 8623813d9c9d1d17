import { Code, ConnectError } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { ApprovalState } from '../../gen/portcullis/v1/approval_pb.ts';
import { createPortcullisClient } from '../src/client.ts';
import { createApprovalWatcher } from '../src/watch-approvals.ts';
import { refusal, startFakeGateway } from './fake-gateway.ts';

const quickWatch = createApprovalWatcher({ silenceMs: 60_000, firstDelayMs: 1, maxDelayMs: 5 });

const changed = (number: number) => ({
  value: { case: 'approval' as const, value: { id: `a${number}` } },
  cursor: `c${number}`,
});

it('gives each change with the cursor after it, over as many connections as it takes', async () => {
  const asked: unknown[] = [];
  const { baseUrl } = await startFakeGateway({
    approvals: {
      async *watchApprovals({ cursor, filter, project }) {
        asked.push([cursor, filter?.state, project?.value.value]);
        if (cursor === 'c2') yield changed(3);
        else yield* [changed(1), changed(2)];
        throw new ConnectError('Stopping.', Code.Unavailable);
      },
    },
  });
  const breaks: string[] = [];

  const seen: string[] = [];
  for await (const { approval, cursor } of quickWatch(createPortcullisClient({ baseUrl }), {
    filter: { state: ApprovalState.PENDING },
    project: { value: { case: 'slug', value: 'shop' } },
    onReconnect: ({ reason }) => breaks.push(reason),
  })) {
    seen.push(`${approval.id} ${cursor}`);
    if (seen.length === 3) break;
  }

  expect(seen).toEqual(['a1 c1', 'a2 c2', 'a3 c3']);
  expect(asked).toEqual([
    ['', ApprovalState.PENDING, 'shop'],
    ['c2', ApprovalState.PENDING, 'shop'],
  ]);
  expect(breaks).toEqual(['connection_failed']);
});

it('tells its place when there is nothing to watch, and goes on there', async () => {
  const cursors: string[] = [];
  const { baseUrl } = await startFakeGateway({
    approvals: {
      async *watchApprovals({ cursor }) {
        cursors.push(cursor);
        if (cursor === 'c5') yield changed(6);
        else yield { value: { case: 'checkpoint', value: {} }, cursor: 'c5' };
      },
    },
  });
  const checkpoints: string[] = [];

  for await (const { approval } of quickWatch(createPortcullisClient({ baseUrl }), {
    cursor: 'c4',
    onCheckpoint: (cursor) => void checkpoints.push(cursor),
  })) {
    expect(approval.id).toBe('a6');
    break;
  }

  expect(checkpoints).toEqual(['c5']);
  expect(cursors).toEqual(['c4', 'c5']);
});

it('ends when the signal is aborted, and throws what a retry can not mend', async () => {
  const { baseUrl } = await startFakeGateway({
    approvals: {
      watchApprovals() {
        throw refusal(Code.InvalidArgument, 'ERROR_REASON_CURSOR_INVALID');
      },
    },
  });
  const client = createPortcullisClient({ baseUrl });

  expect(await quickWatch(client, { signal: AbortSignal.abort() }).next()).toEqual({ done: true, value: undefined });
  await expect(quickWatch(client).next()).rejects.toMatchObject({ reason: 'cursor_invalid' });
});

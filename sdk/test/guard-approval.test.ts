import { durationMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { DecisionReason } from '../../gen/portcullis/v1/decision_pb.ts';
import {
  ALLOWED,
  type AuthorizeMethod,
  clientOf,
  DENIED,
  deniedWith,
  guardedTool,
  NEEDS_APPROVAL,
  REFUNDED,
} from './guarded-tool.ts';

describe('waitForApproval', () => {
  /** Answers one after the other; a function is given how long the gateway shall wait. */
  function gatewayOf(...answers: ((waitMs: number) => ReturnType<AuthorizeMethod>)[]) {
    const waits: number[] = [];
    const client = clientOf(({ approvalWait }) => {
      const waitMs = approvalWait === undefined ? 0 : durationMs(approvalWait);
      waits.push(waitMs);
      return (answers[waits.length - 1] ?? (() => DENIED))(waitMs);
    });
    return { client, waits };
  }

  it('waits as long as the gateway does, beyond timeoutMs, and runs the handler once it is approved', async () => {
    const { client, waits } = gatewayOf(
      () => NEEDS_APPROVAL,
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 400));
        return { ...ALLOWED, reason: DecisionReason.APPROVAL };
      },
    );
    const { call, ran, denials } = guardedTool(client, { waitForApproval: true, timeoutMs: 100 });

    expect(await call({})).toEqual(REFUNDED);
    expect(waits).toEqual([0, 60_000]);
    expect(ran).toHaveLength(1);
    expect(denials).toEqual([]);
  });

  it('asks again while the approval is pending, and denies when its time is over', async () => {
    const pending = async (waitMs: number) => {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      return NEEDS_APPROVAL;
    };
    const { client, waits } = gatewayOf(() => NEEDS_APPROVAL, pending, pending);
    const { call, ran, denials } = guardedTool(client, { waitForApproval: { timeoutMs: 300 } });

    expect(await call({})).toEqual(deniedWith('Refunds need approval. (approval a1)'));
    expect(waits.length).toBeGreaterThan(1);
    expect(waits[1]).toBeGreaterThan(250);
    expect(waits[1]).toBeLessThanOrEqual(300);
    expect(ran).toEqual([]);
    expect(denials.map(({ approvalId }) => approvalId)).toEqual(['a1']);
  });

  it.each([
    ['the gateway answers before the wait is over', NEEDS_APPROVAL],
    ['another approval is asked for', { ...NEEDS_APPROVAL, approvalId: 'a2' }],
  ])('ends when %s, since nobody is to be waited for any more', async (_, answer) => {
    const { client, waits } = gatewayOf(
      () => NEEDS_APPROVAL,
      () => answer,
    );
    const { call, ran, denials } = guardedTool(client, { waitForApproval: true });

    expect(await call({})).toEqual(
      deniedWith(`Nobody approved this call in time, or it was refused. (approval ${answer.approvalId})`),
    );
    expect(waits).toEqual([0, 60_000]);
    expect(ran).toEqual([]);
    expect(denials.map(({ kind }) => kind)).toEqual(['approval_required']);
  });

  it('ends when another approval is asked for after the wait', async () => {
    const { client, waits } = gatewayOf(
      () => NEEDS_APPROVAL,
      async (waitMs) => {
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        return { ...NEEDS_APPROVAL, approvalId: 'a2' };
      },
    );
    const { call } = guardedTool(client, { waitForApproval: { timeoutMs: 200 } });

    expect(await call({})).toEqual(deniedWith('Nobody approved this call in time, or it was refused. (approval a2)'));
    expect(waits).toHaveLength(2);
  });

  it('ends with a DENY', async () => {
    const { client } = gatewayOf(
      () => NEEDS_APPROVAL,
      () => DENIED,
    );
    const { call, ran } = guardedTool(client, { waitForApproval: true });

    expect(await call({})).toEqual(deniedWith('Refunds above 100 are not allowed.'));
    expect(ran).toEqual([]);
  });

  it('asks again after an outage, and never takes it for a reason to let the call pass', async () => {
    const away = () => {
      throw new ConnectError('Stopping.', Code.Unavailable);
    };
    const approved = gatewayOf(
      () => NEEDS_APPROVAL,
      away,
      away,
      () => ALLOWED,
    );
    const restarted = guardedTool(approved.client, { waitForApproval: true, onError: 'allow' });
    const gone = gatewayOf(() => NEEDS_APPROVAL, ...Array.from({ length: 50 }, () => away));
    const lost = guardedTool(gone.client, { waitForApproval: { timeoutMs: 600 }, onError: 'allow' });

    expect(await restarted.call({})).toEqual(REFUNDED);
    expect(approved.waits).toHaveLength(4);
    expect(await lost.call({})).toEqual(deniedWith('Refunds need approval. (approval a1)'));
    expect(lost.ran).toEqual([]);
    expect(gone.waits.length).toBeLessThan(10);
  });

  it('ends with the caller', async () => {
    const aborter = new AbortController();
    const { client } = gatewayOf(
      () => NEEDS_APPROVAL,
      () => {
        setImmediate(() => aborter.abort());
        return new Promise<never>(() => {});
      },
    );
    const { call, ran, denials } = guardedTool(client, { waitForApproval: true, onError: 'allow' });

    expect(await call({}, { signal: aborter.signal })).toEqual(deniedWith('The call was canceled.'));
    expect(ran).toEqual([]);
    expect(denials).toHaveLength(1);
  });

  it('waits for nothing when it is false or no approval is needed', async () => {
    const { client, waits } = gatewayOf(
      () => NEEDS_APPROVAL,
      () => DENIED,
      () => ALLOWED,
    );

    await guardedTool(client, { waitForApproval: false }).call({});
    await guardedTool(client, { waitForApproval: true }).call({});
    await guardedTool(client, { waitForApproval: true }).call({});

    expect(waits).toEqual([0, 0, 0]);
  });
});

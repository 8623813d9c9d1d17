import { afterEach, describe, expect, it, vi } from 'vitest';
import { approvalAt } from '../../src/approvals/votes.ts';
import { createWaiting, type Waiting, type WaitingDeps } from '../../src/approvals/waiting.ts';
import type { Approval } from '../../src/domain/approval.ts';
import type { ApprovalId } from '../../src/domain/ids.ts';
import { approval, NOW } from './samples.ts';

const ID = approval().id;
const NEVER = new AbortController().signal;

let open: Waiting | undefined;

afterEach(() => {
  open?.close();
  vi.useRealTimers();
});

/** A waiting room over approvals in memory, with a clock that the test sets and a doorbell that it rings. */
function createRoom(changes: Partial<WaitingDeps> = {}) {
  const stored = new Map<string, Approval>([[ID, approval()]]);
  const clock = { now: NOW };
  let ring: (ids: readonly string[]) => void = () => {};
  const read = (id: ApprovalId) => {
    const found = stored.get(id);
    return found && approvalAt(found, clock.now);
  };
  const reads = { count: 0 };
  const waiting = createWaiting({
    find: async (id) => read(id),
    async findSettled(ids) {
      reads.count += 1;
      return ids.flatMap((id) => read(id) ?? []).filter(({ state }) => state !== 'pending');
    },
    onChange(listener) {
      ring = listener;
      return () => {
        ring = () => {};
      };
    },
    now: () => clock.now,
    pollMs: 1_000,
    ...changes,
  });
  open = waiting;
  return { stored, clock, reads, waiting, ring: (ids: readonly string[] = [ID, 'another']) => ring(ids) };
}

describe('waiting for an approval', () => {
  it('ends when the doorbell rings for its answer, for all who wait', async () => {
    const { waiting, stored, ring } = createRoom();
    const waits = [waiting.wait(ID, NOW + 60_000, NEVER), waiting.wait(ID, NOW + 60_000, NEVER)];
    await new Promise(setImmediate);
    ring();
    stored.set(ID, approval({ state: 'approved' }));
    ring();
    expect((await Promise.all(waits)).map(({ state }) => state)).toEqual(['approved', 'approved']);
  });

  it('ends when the doorbell does not say what it rings for', async () => {
    const { waiting, stored, ring } = createRoom();
    const wait = waiting.wait(ID, NOW + 60_000, NEVER);
    await new Promise(setImmediate);
    stored.set(ID, approval({ state: 'denied' }));
    ring([]);
    expect((await wait).state).toBe('denied');
  });

  it('ends within a second when no doorbell rang, and at once when it is answered already', async () => {
    vi.useFakeTimers();
    const { waiting, stored } = createRoom();
    const wait = waiting.wait(ID, NOW + 60_000, NEVER);
    await vi.advanceTimersByTimeAsync(500);
    stored.set(ID, approval({ state: 'denied' }));
    await vi.advanceTimersByTimeAsync(500);
    expect((await wait).state).toBe('denied');
    expect((await waiting.wait(ID, NOW + 60_000, NEVER)).state).toBe('denied');
  });

  it('ends with what it expired to', async () => {
    vi.useFakeTimers();
    const { waiting, clock } = createRoom();
    const wait = waiting.wait(ID, NOW + 10 * 3_600_000, NEVER);
    await vi.advanceTimersByTimeAsync(3_000);
    clock.now = approval().expireTime;
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await wait).state).toBe('expired');
  });

  it('ends at its time with the approval as it is then, also when the clock jumps back', async () => {
    vi.useFakeTimers();
    const { waiting, clock, stored } = createRoom();
    const wait = waiting.wait(ID, NOW + 5_000, NEVER);
    stored.set(ID, approval({ message: 'read again' }));
    clock.now = NOW - 24 * 3_600_000;
    let isOver = false;
    void wait.then(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await wait).toMatchObject({ state: 'pending', message: 'read again' });
  });

  it('is not woken by a time that is over, nor held by one that no timer can take', async () => {
    const { waiting } = createRoom();
    expect((await waiting.wait(ID, NOW - 1, NEVER)).state).toBe('pending');
    const leaving = new AbortController();
    const wait = waiting.wait(ID, Number.MAX_SAFE_INTEGER, leaving.signal);
    await new Promise((resolve) => setTimeout(resolve, 20));
    leaving.abort(new Error('gone'));
    await expect(wait).rejects.toThrow('gone');
  });

  it('ends with the reason of the signal, before and while it waits', async () => {
    const { waiting, reads } = createRoom();
    await expect(waiting.wait(ID, NOW + 60_000, AbortSignal.abort(new Error('left before')))).rejects.toThrow(
      'left before',
    );
    const leaving = new AbortController();
    const wait = waiting.wait(ID, NOW + 60_000, leaving.signal);
    leaving.abort(new Error('left meanwhile'));
    await expect(wait).rejects.toThrow('left meanwhile');
    expect(reads.count).toBe(0);
  });

  it('goes on while the store can not be read', async () => {
    vi.useFakeTimers();
    let isDown = false;
    const { waiting, stored } = createRoom({
      async findSettled(ids) {
        if (isDown) throw new Error('the store is down');
        return ids.flatMap((id) => stored.get(id) ?? []).filter(({ state }) => state !== 'pending');
      },
    });
    const wait = waiting.wait(ID, NOW + 60_000, NEVER);
    await vi.advanceTimersByTimeAsync(1);
    isDown = true;
    stored.set(ID, approval({ state: 'approved' }));
    await vi.advanceTimersByTimeAsync(5_000);
    isDown = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await wait).state).toBe('approved');
  });

  it('is refused for what does not exist', async () => {
    const { waiting } = createRoom();
    await expect(waiting.wait('nothing' as ApprovalId, NOW + 60_000, NEVER)).rejects.toMatchObject({
      reason: 'not_found',
    });
  });

  it('sends off who comes when as many wait as may, and shares reads among those who do', async () => {
    vi.useFakeTimers();
    const { waiting, reads } = createRoom({ maxWaiters: 50 });
    const first = Array.from({ length: 50 }, () => waiting.wait(ID, NOW + 2_500, NEVER));
    expect((await waiting.wait(ID, NOW + 60_000, NEVER)).state).toBe('pending');
    await vi.advanceTimersByTimeAsync(2_500);
    expect((await Promise.all(first)).every(({ state }) => state === 'pending')).toBe(true);
    expect(reads.count).toBe(2);
  });

  it('ends for everybody when the process stops', async () => {
    const { waiting } = createRoom();
    const wait = waiting.wait(ID, NOW + 60_000, NEVER);
    await new Promise(setImmediate);
    waiting.close();
    expect((await wait).state).toBe('pending');
    expect((await waiting.wait(ID, NOW + 60_000, NEVER)).state).toBe('pending');
  });
});

import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { PortcullisError } from '../src/errors.ts';
import { createTokenSource, type TokenPair } from '../src/token-source.ts';

const START = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
const MINUTE = 60_000;

/** A source whose clock stands still, and whose refreshes the test answers; the n-th one gives `access-n`, good for an hour. */
function createTestSource(expireMs: number | 'never' = START + HOUR) {
  const clock = { now: START };
  const refreshes: { refreshToken: string; succeed(): void; fail(error: unknown): void }[] = [];
  const refresh = (refreshToken: string) =>
    new Promise<TokenPair>((resolve, reject) => {
      const n = refreshes.length + 1;
      const succeed = () => {
        const expireTime = timestampFromMs(clock.now + HOUR);
        resolve({ accessToken: `access-${n}`, refreshToken: `refresh-${n}`, expireTime });
      };
      refreshes.push({ refreshToken, succeed, fail: reject });
    });
  const first = {
    accessToken: 'access-0',
    refreshToken: 'refresh-0',
    expireTime: expireMs === 'never' ? undefined : timestampFromMs(expireMs),
  };
  const source = createTokenSource(first, refresh, () => clock.now);
  return { source, clock, refreshes };
}

const refused = () => new PortcullisError('invalid_credentials', 'Log in again.', { code: Code.Unauthenticated });
const unreachable = () => new PortcullisError('connection_failed', 'No answer.', { code: Code.Unavailable });

it('gives the token until a minute before it expires', async () => {
  const { source, clock, refreshes } = createTestSource();

  clock.now = START + HOUR - MINUTE - 1;

  expect(await source()).toBe('access-0');
  expect(refreshes).toEqual([]);
});

it('refreshes once for all calls that wait, and with the newest refresh token each time', async () => {
  const { source, clock, refreshes } = createTestSource();

  clock.now = START + HOUR - MINUTE;
  const waiting = [source(), source(), source('access-0')];
  refreshes[0]?.succeed();
  expect(await Promise.all(waiting)).toEqual(['access-1', 'access-1', 'access-1']);

  clock.now += HOUR;
  const next = source();
  refreshes[1]?.succeed();
  expect(await next).toBe('access-2');
  expect(refreshes.map(({ refreshToken }) => refreshToken)).toEqual(['refresh-0', 'refresh-1']);
});

it('refreshes a short-lived token when half of its life is over', async () => {
  const { source, clock, refreshes } = createTestSource(START + MINUTE);

  clock.now = START + MINUTE / 2 - 1;
  expect(await source()).toBe('access-0');
  clock.now++;
  const renewed = source();
  refreshes[0]?.succeed();

  expect(await renewed).toBe('access-1');
});

it('refreshes a token that the gateway refused, though it seems good', async () => {
  const { source, refreshes } = createTestSource();

  const renewed = source('access-0');
  refreshes[0]?.succeed();

  expect(await renewed).toBe('access-1');
  expect(await source('access-0')).toBe('access-1');
  expect(refreshes).toHaveLength(1);
});

it('uses a fresh token that seems expired by a clock that is ahead, until the gateway refuses it', async () => {
  const { source, refreshes } = createTestSource(START - HOUR);

  expect(await source()).toBe('access-0');
  expect(refreshes).toEqual([]);
});

it('never refreshes a token without an end on its own', async () => {
  const { source, clock } = createTestSource('never');

  clock.now += 1000 * HOUR;

  expect(await source()).toBe('access-0');
});

it('throws the refusal of a refresh to every call from then on, without asking again', async () => {
  const { source, clock, refreshes } = createTestSource();
  const error = refused();

  clock.now = START + HOUR - MINUTE;
  const waiting = [source(), source()].map((call) => expect(call).rejects.toBe(error));
  refreshes[0]?.fail(error);
  await Promise.all(waiting);

  await expect(source()).rejects.toBe(error);
  expect(refreshes).toHaveLength(1);
});

it('goes on with a token that is still good when the refresh could not be sent, and tries again after five seconds', async () => {
  const { source, clock, refreshes } = createTestSource();

  clock.now = START + HOUR - MINUTE;
  const first = source();
  refreshes[0]?.fail(unreachable());
  expect(await first).toBe('access-0');
  clock.now += 4_999;
  expect(await source()).toBe('access-0');
  expect(refreshes).toHaveLength(1);

  clock.now += 1;
  const renewed = source();
  refreshes[1]?.succeed();
  expect(await renewed).toBe('access-2');
});

it('throws why the refresh could not be sent when the token is over or was refused, and tries again at the next call', async () => {
  const { source, clock, refreshes } = createTestSource();
  const error = unreachable();

  const afterRefusal = source('access-0');
  refreshes[0]?.fail(error);
  await expect(afterRefusal).rejects.toBe(error);

  clock.now = START + HOUR;
  const afterEnd = source();
  refreshes[1]?.fail(error);
  await expect(afterEnd).rejects.toBe(error);

  const renewed = source();
  refreshes[2]?.succeed();
  expect(await renewed).toBe('access-3');
});

import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { login } from '../src/login.ts';
import { refusal, startFakeGateway, tokenExpired } from './fake-gateway.ts';

const ADA = { username: 'ada', password: 'correct horse' };

/** A gateway for the user ada; it takes the newest tokens, as long as the test lets it. */
async function startUserGateway() {
  let issued = 0;
  const accepted = { accessToken: '', refreshToken: '' };
  const issue = () => {
    issued++;
    accepted.accessToken = `access-${issued}`;
    accepted.refreshToken = `refresh-${issued}`;
    return { ...accepted, expireTime: timestampFromMs(Date.now() + 3_600_000) };
  };
  const invalid = (message: string) => refusal(Code.Unauthenticated, 'ERROR_REASON_INVALID_CREDENTIALS', message);
  const { baseUrl, requests } = await startFakeGateway({
    auth: {
      login: ({ username, password }) => {
        if (username !== 'ada' || password !== 'correct horse') throw invalid('Username and password do not fit.');
        return issue();
      },
      refreshToken: ({ refreshToken }) => {
        if (refreshToken !== accepted.refreshToken) throw invalid('The refresh token is not valid.');
        return issue();
      },
      getCaller: (_, { requestHeader }) => {
        if (requestHeader.get('authorization') !== `Bearer ${accepted.accessToken}`) throw tokenExpired();
        return { caller: { name: 'ada' } };
      },
    },
  });
  const requestsOf = (method: string) => requests.filter(({ path }) => path.endsWith(`/${method}`));
  return { baseUrl, accepted, requests, requestsOf };
}

it('calls with the token of the login, which itself carries no credential', async () => {
  const { baseUrl, requests } = await startUserGateway();

  const client = await login({ baseUrl, ...ADA });

  expect((await client.auth.getCaller({})).caller?.name).toBe('ada');
  expect(requests.map(({ path, authorization }) => [path, authorization])).toEqual([
    ['/portcullis.v1.AuthService/Login', undefined],
    ['/portcullis.v1.AuthService/GetCaller', 'Bearer access-1'],
  ]);
});

it('throws invalid_credentials for a wrong password', async () => {
  const { baseUrl } = await startUserGateway();

  await expect(login({ baseUrl, username: 'ada', password: 'wrong' })).rejects.toMatchObject({
    name: 'PortcullisError',
    reason: 'invalid_credentials',
    message: 'Username and password do not fit.',
  });
});

it('refreshes an expired token once for many calls at the same time, and repeats them with the new one', async () => {
  const { baseUrl, accepted, requestsOf } = await startUserGateway();
  const client = await login({ baseUrl, ...ADA });

  accepted.accessToken = 'none';
  const calls = await Promise.all(Array.from({ length: 20 }, () => client.auth.getCaller({})));

  expect(calls.map(({ caller }) => caller?.name)).toEqual(Array.from({ length: 20 }, () => 'ada'));
  expect(requestsOf('RefreshToken').map(({ authorization }) => authorization)).toEqual([undefined]);
  expect(requestsOf('GetCaller').filter(({ authorization }) => authorization === 'Bearer access-2')).toHaveLength(20);
});

it('throws the refusal of a refresh to every call, and asks only once', async () => {
  const { baseUrl, accepted, requestsOf } = await startUserGateway();
  const client = await login({ baseUrl, ...ADA });

  accepted.accessToken = 'none';
  accepted.refreshToken = 'none';

  for (const _ of ['first call', 'second call']) {
    await expect(client.auth.getCaller({})).rejects.toMatchObject({
      name: 'PortcullisError',
      reason: 'invalid_credentials',
      message: 'The refresh token is not valid.',
    });
  }
  expect(requestsOf('RefreshToken')).toHaveLength(1);
});

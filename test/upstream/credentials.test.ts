import { describe, expect, test } from 'vitest';
import type { UpstreamId } from '../../src/domain/ids.ts';
import type { Transport, UpstreamSecrets } from '../../src/domain/upstream.ts';
import { createCredentials } from '../../src/upstream/credentials.ts';
import { upstreamOf } from './fixtures.ts';

const transport: Transport = { kind: 'streamable_http', url: 'https://mcp.example.com/mcp' };

function sealed(secrets: UpstreamSecrets): string {
  return JSON.stringify(secrets);
}

describe('upstream credentials', () => {
  test('are a bearer header and the custom headers', async () => {
    const credentials = createCredentials({ open: async (text) => text });
    const upstream = upstreamOf(transport, {
      auth: { kind: 'bearer' },
      sealedSecrets: sealed({ bearerToken: 't0ken', headers: { 'x-tenant': 'acme', authorization: 'other' } }),
    });
    expect(await credentials.headersOf(upstream)).toEqual({ authorization: 'Bearer t0ken', 'x-tenant': 'acme' });
  });

  test('are a basic header of the user name and password in UTF-8', async () => {
    const credentials = createCredentials({ open: async (text) => text });
    const upstream = upstreamOf(transport, {
      auth: { kind: 'basic', username: 'zoë' },
      sealedSecrets: sealed({ basicPassword: 'p:w' }),
    });
    expect(await credentials.headersOf(upstream)).toEqual({ authorization: 'Basic em/DqzpwOnc=' });
  });

  test('are opened once for each revision, also by calls at the same time, and then known at once', async () => {
    const opened: string[] = [];
    const credentials = createCredentials({
      open: async (text) => {
        opened.push(text);
        return text;
      },
    });
    const first = upstreamOf(transport, { auth: { kind: 'bearer' }, sealedSecrets: sealed({ bearerToken: 'one' }) });
    await Promise.all([credentials.headersOf(first), credentials.headersOf(first)]);
    expect(credentials.headersOf(first)).toEqual({ authorization: 'Bearer one' });
    const second = { ...first, sealedSecrets: sealed({ bearerToken: 'two' }), revision: 2 };
    expect(await credentials.headersOf(second)).toEqual({ authorization: 'Bearer two' });
    expect(opened).toEqual(['{"bearerToken":"one"}', '{"bearerToken":"two"}']);
  });

  test('are forgotten oldest first when there are too many', async () => {
    let opens = 0;
    const credentials = createCredentials({
      capacity: 2,
      open: async (text) => {
        opens++;
        return text;
      },
    });
    const upstreams = ['a', 'b', 'c'].map((id) =>
      upstreamOf(transport, {
        id: id as UpstreamId,
        auth: { kind: 'bearer' },
        sealedSecrets: sealed({ bearerToken: id }),
      }),
    );
    for (const upstream of upstreams) {
      await credentials.headersOf(upstream);
    }
    expect(credentials.headersOf(upstreams[2] as (typeof upstreams)[0])).toEqual({ authorization: 'Bearer c' });
    await credentials.headersOf(upstreams[0] as (typeof upstreams)[0]);
    expect(opens).toBe(4);
  });

  test('of a stdio upstream are its environment', async () => {
    const credentials = createCredentials({ open: async (text) => text });
    const upstream = upstreamOf(transport, { sealedSecrets: sealed({ env: { API_TOKEN: 's' } }) });
    expect(await credentials.envOf(upstream)).toEqual({ API_TOKEN: 's' });
    expect(await credentials.envOf(upstreamOf(transport))).toEqual({});
  });

  test('that cannot be opened are an error that names the setting, not the secret, and are tried again', async () => {
    let broken = true;
    const credentials = createCredentials({
      open: async (text) => {
        if (broken) {
          throw new Error('no such key');
        }
        return text;
      },
    });
    const upstream = upstreamOf(transport, { auth: { kind: 'bearer' }, sealedSecrets: sealed({ bearerToken: 'x' }) });
    await expect(credentials.headersOf(upstream)).rejects.toMatchObject({
      reason: 'internal',
      message: expect.stringContaining('GATEWAY_PREVIOUS_SECRET_KEYS'),
    });
    broken = false;
    expect(await credentials.headersOf(upstream)).toEqual({ authorization: 'Bearer x' });
  });
});

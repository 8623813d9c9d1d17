import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from '../../gen/google/rpc/error_details_pb.ts';
import { ErrorReason } from '../../gen/portcullis/v1/error_reason_pb.ts';
import { createPortcullisClient } from '../src/client.ts';
import { toReason } from '../src/error-conversion.ts';
import { isPortcullisError, PortcullisError } from '../src/errors.ts';
import { type FakeServices, refusal, startFakeGateway, unusedUrl } from './fake-gateway.ts';

async function failureOf(call: Promise<unknown>): Promise<PortcullisError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PortcullisError);
  return error as PortcullisError;
}

async function failureOfGetStats(getStats: NonNullable<FakeServices['stats']>['getStats']): Promise<PortcullisError> {
  const { baseUrl } = await startFakeGateway({ stats: getStats === undefined ? {} : { getStats } });
  return failureOf(createPortcullisClient({ baseUrl, apiKey: 'pc_1' }).stats.getStats({}));
}

describe('an error of the gateway', () => {
  it('has the reason, message, code, metadata and request id that were sent', async () => {
    const error = await failureOfGetStats(() => {
      throw new ConnectError('The credential lacks a scope.', Code.PermissionDenied, undefined, [
        {
          desc: ErrorInfoSchema,
          value: {
            reason: 'ERROR_REASON_PERMISSION_DENIED',
            domain: 'portcullis',
            metadata: { required_permissions: 'gateway:read' },
          },
        },
        { desc: RequestInfoSchema, value: { requestId: 'r-1' } },
      ]);
    });

    expect(error.reason).toBe('permission_denied');
    expect(error.message).toBe('The credential lacks a scope.');
    expect(error.code).toBe(Code.PermissionDenied);
    expect(error.metadata).toEqual({ required_permissions: 'gateway:read' });
    expect(error.requestId).toBe('r-1');
    expect(error.violations).toEqual([]);
    expect(error.retryAfterMs).toBeUndefined();
    expect(error.cause).toBeInstanceOf(ConnectError);
  });

  it('lists every field that breaks a rule', async () => {
    const error = await failureOfGetStats(() => {
      throw new ConnectError('Two fields are wrong.', Code.InvalidArgument, undefined, [
        { desc: ErrorInfoSchema, value: { reason: 'ERROR_REASON_VALIDATION_FAILED', domain: 'portcullis' } },
        {
          desc: BadRequestSchema,
          value: {
            fieldViolations: [
              { field: 'slug', description: 'is too long' },
              { field: 'transport.url', description: 'is not a URL' },
            ],
          },
        },
      ]);
    });

    expect(error.reason).toBe('validation_failed');
    expect(error.violations).toEqual([
      { field: 'slug', description: 'is too long' },
      { field: 'transport.url', description: 'is not a URL' },
    ]);
  });

  it('says how long to wait', async () => {
    const error = await failureOfGetStats(() => {
      throw new ConnectError('Too many requests.', Code.ResourceExhausted, undefined, [
        { desc: ErrorInfoSchema, value: { reason: 'ERROR_REASON_RATE_LIMIT_EXCEEDED', domain: 'portcullis' } },
        { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(1500) } },
      ]);
    });

    expect(error.reason).toBe('rate_limit_exceeded');
    expect(error.retryAfterMs).toBe(1500);
  });

  it('is typed in a stream too', async () => {
    const { baseUrl } = await startFakeGateway({
      decisions: {
        async *watchDecisions() {
          yield { cursor: 'c1' };
          throw refusal(Code.InvalidArgument, 'ERROR_REASON_CURSOR_INVALID', 'The cursor is too old.');
        },
      },
    });
    const responses = createPortcullisClient({ baseUrl }).decisions.watchDecisions({})[Symbol.asyncIterator]();

    expect(await responses.next()).toMatchObject({ value: { cursor: 'c1' } });
    const error = await failureOf(responses.next());
    expect(error.reason).toBe('cursor_invalid');
    expect(error.message).toBe('The cursor is too old.');
  });

  it('has the reason unknown when this SDK does not know it, or when another party sent it', async () => {
    const newer = await failureOfGetStats(() => {
      throw refusal(Code.FailedPrecondition, 'ERROR_REASON_FROM_THE_FUTURE', 'Later.');
    });
    expect(newer).toMatchObject({ reason: 'unknown', code: Code.FailedPrecondition, message: 'Later.' });

    const foreign = await failureOfGetStats(() => {
      const info = { reason: 'ERROR_REASON_NOT_FOUND', domain: 'somebody.else' };
      throw new ConnectError('Gone.', Code.NotFound, { 'x-request-id': 'r-2' }, [
        { desc: ErrorInfoSchema, value: info },
      ]);
    });
    expect(foreign).toMatchObject({ reason: 'unknown', code: Code.NotFound, requestId: 'r-2' });
  });
});

it('knows every reason of the contract by its name in lower case', () => {
  const names = Object.keys(ErrorReason).filter((name) => name !== 'UNSPECIFIED');

  expect(names.length).toBeGreaterThan(25);
  expect(names.map((name) => toReason(`ERROR_REASON_${name}`))).toEqual(names.map((name) => name.toLowerCase()));
  expect(toReason('ERROR_REASON_UNSPECIFIED')).toBe('unknown');
  expect(toReason('constructor')).toBe('unknown');
});

it('understands the refusals of the HTTP edge, in calls and in streams', async () => {
  const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
    response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '2' });
    response.end('{"error":{"code":"unavailable","message":"Too many requests in progress.","request_id":"r-3"}}');
  });
  const client = createPortcullisClient({ baseUrl });
  const expected = {
    reason: 'unavailable',
    code: Code.Unavailable,
    message: 'Too many requests in progress.',
    requestId: 'r-3',
    retryAfterMs: 2000,
  };

  expect(await failureOf(client.stats.getStats({}))).toMatchObject(expected);
  expect(await failureOf(client.decisions.watchDecisions({})[Symbol.asyncIterator]().next())).toMatchObject(expected);
});

describe('an answer that is not the gateway’s', () => {
  it('is connection_failed when a proxy says that the gateway is away', async () => {
    const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
    });

    const error = await failureOf(createPortcullisClient({ baseUrl }).stats.getStats({}));
    expect(error).toMatchObject({ reason: 'connection_failed', code: Code.Unavailable, message: 'HTTP 502' });
  });

  it.each([
    [400, 'unknown', Code.InvalidArgument],
    [401, 'unknown', Code.Unauthenticated],
    [403, 'unknown', Code.PermissionDenied],
    [404, 'unknown', Code.NotFound],
    [418, 'unknown', Code.FailedPrecondition],
    [408, 'unknown', Code.DeadlineExceeded],
    [413, 'unknown', Code.ResourceExhausted],
    [429, 'rate_limit_exceeded', Code.ResourceExhausted],
  ])('keeps the meaning of the status %i, whatever its body', async (status, reason, code) => {
    const bodies = [
      ['text/html', '<h1>No</h1>'],
      ['application/json', '{"detail":"no"}'],
      ['application/json', '{"code":"unavailable"}'],
      ['application/json', '{"code":'],
    ] as const;
    for (const [type, body] of bodies) {
      const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
        response.writeHead(status, { 'content-type': type, 'retry-after': '3' }).end(body);
      });

      const error = await failureOf(createPortcullisClient({ baseUrl }).stats.getStats({}));
      expect(error).toMatchObject({ reason, code, retryAfterMs: 3000 });
      expect(error.message).toBe(`Something on the way to the gateway refused the request with HTTP ${status}.`);
    }
  });

  it('is unknown when it is an error page', async () => {
    const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
      response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>Oops</h1>');
    });

    const error = await failureOf(createPortcullisClient({ baseUrl }).stats.getStats({}));
    expect(error).toMatchObject({ reason: 'unknown', code: Code.Unknown, message: 'HTTP 500' });
  });

  it('is unknown when a message of a stream can not be read, since it would not get better', async () => {
    const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
      response.writeHead(200, { 'content-type': 'application/connect+json' }).end('\0\0\0\0\x04oops');
    });
    const client = createPortcullisClient({ baseUrl, format: 'json' });

    const error = await failureOf(client.decisions.watchDecisions({})[Symbol.asyncIterator]().next());
    expect(error).toMatchObject({ reason: 'unknown', code: Code.InvalidArgument });
  });

  it('is unknown otherwise, with a message even when none came', async () => {
    const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
      response.writeHead(500, { 'content-type': 'application/json' }).end('{}');
    });

    const error = await failureOf(createPortcullisClient({ baseUrl }).stats.getStats({}));
    expect(error).toMatchObject({ reason: 'unknown', message: 'The call failed with the code Unknown.' });
  });
});

describe('a broken connection', () => {
  it('is connection_failed when nobody listens, with what the system says', async () => {
    const baseUrl = await unusedUrl();

    const error = await failureOf(createPortcullisClient({ baseUrl }).stats.getStats({}));
    expect(error).toMatchObject({ reason: 'connection_failed', code: Code.Unavailable, requestId: undefined });
    expect(error.message).toBe(
      `No whole answer came from the gateway (fetch failed: connect ECONNREFUSED ${baseUrl.slice('http://'.length)}).`,
    );
  });

  it('is connection_failed when the answer breaks off', async () => {
    const { baseUrl } = await startFakeGateway({}, () => (_, response) => {
      response.writeHead(200, { 'content-type': 'application/proto', 'content-length': '100' });
      response.write('half', () => response.destroy());
    });

    const error = await failureOf(createPortcullisClient({ baseUrl }).stats.getStats({}));
    expect(error.reason).toBe('connection_failed');
  });
});

it('isPortcullisError tells errors of calls, and their reasons, from others', () => {
  const error: unknown = new PortcullisError('not_found', 'No such tool.');

  expect(isPortcullisError(error)).toBe(true);
  expect(isPortcullisError(error, 'not_found')).toBe(true);
  expect(isPortcullisError(error, 'internal')).toBe(false);
  expect(isPortcullisError(new Error('not_found'))).toBe(false);
  expect(isPortcullisError(undefined)).toBe(false);
});

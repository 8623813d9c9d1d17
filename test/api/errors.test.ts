import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import { ErrorReason } from '../../gen/portcullis/v1/error_reason_pb.ts';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { toApiFailure } from '../../src/api/errors.ts';
import { createValidationError } from '../../src/api/validation.ts';
import { GatewayError, type ErrorReason as Reason } from '../../src/domain/errors.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;

afterEach(() => gateway?.close());

async function callFailing(error: unknown) {
  const fail = () => Promise.reject(error);
  gateway = await createInstallation({ calls: { listTools: fail, callTool: fail, authorize: fail } });
  const client = gateway.as(gateway.admin, ToolService);
  return refusalOf(client.callTool({ upstream: { value: { case: 'slug', value: 'demo' } }, name: 'echo' }));
}

const CODES: [Reason, string][] = [
  ['invalid_api_key', 'Unauthenticated'],
  ['api_key_expired', 'Unauthenticated'],
  ['api_key_revoked', 'Unauthenticated'],
  ['invalid_credentials', 'Unauthenticated'],
  ['token_expired', 'Unauthenticated'],
  ['permission_denied', 'PermissionDenied'],
  ['not_found', 'NotFound'],
  ['already_exists', 'AlreadyExists'],
  ['etag_mismatch', 'Aborted'],
  ['validation_failed', 'InvalidArgument'],
  ['page_token_invalid', 'InvalidArgument'],
  ['cursor_invalid', 'InvalidArgument'],
  ['failed_precondition', 'FailedPrecondition'],
  ['method_not_allowed', 'Unimplemented'],
  ['payload_too_large', 'ResourceExhausted'],
  ['rate_limit_exceeded', 'ResourceExhausted'],
  ['plan_limit_exceeded', 'ResourceExhausted'],
  ['budget_exceeded', 'ResourceExhausted'],
  ['policy_denied', 'PermissionDenied'],
  ['approval_required', 'FailedPrecondition'],
  ['era_mismatch', 'FailedPrecondition'],
  ['upstream_timeout', 'DeadlineExceeded'],
  ['bad_gateway', 'Unavailable'],
  ['unavailable', 'Unavailable'],
  ['canceled', 'Canceled'],
  ['internal', 'Internal'],
];

describe('an error', () => {
  it.each(CODES)('with the reason %s has the code %s', (reason, code) => {
    expect(Code[toApiFailure(new GatewayError(reason, 'text'), 'request-1').sent.code]).toBe(code);
  });

  it('has a reason of the contract, and the contract none that does not exist', () => {
    const names = CODES.map(([reason]) => reason.toUpperCase());
    expect(Object.keys(ErrorReason).filter((name) => name !== 'UNSPECIFIED')).toEqual(names);
  });

  it('is told in a text that a header can carry, whatever a client wrote or a cut has left of it', () => {
    const messageOf = (message: string) => toApiFailure(new GatewayError('not_found', message), 'r').sent.rawMessage;
    expect(messageOf('half a smile: \ud83d')).toBe('half a smile: \ufffd');
    expect(messageOf('x'.repeat(9_000))).toBe('x'.repeat(5_000));
    const ofFramework = toApiFailure(new ConnectError('key "\ud83d" is unknown', Code.InvalidArgument), 'r');
    expect(ofFramework.sent.rawMessage).toBe('key "\ufffd" is unknown');
  });

  it('tells of many long violations only as much as a header can carry', () => {
    const all = Array.from({ length: 20 }, () => ({ field: 'f'.repeat(3_000), description: 'd'.repeat(3_000) }));
    const { violations, message } = createValidationError(all);
    expect(violations).toEqual([{ field: 'f'.repeat(3_000), description: `${'d'.repeat(1_000)}…` }]);
    expect(message).toMatch(/d…; and 19 more$/);
  });

  it('carries reason, metadata, message, request id and when to retry', async () => {
    const error = new GatewayError('rate_limit_exceeded', 'Too many calls.', {
      metadata: { limit: '10' },
      retryAfterMs: 4_000,
    });
    expect(await callFailing(error)).toEqual({
      code: 'ResourceExhausted',
      reason: 'ERROR_REASON_RATE_LIMIT_EXCEEDED',
      message: 'Too many calls.',
      metadata: { limit: '10' },
      requestId: 'request-1',
      violations: [],
      retrySeconds: 4n,
    });
  });

  it('that the caller did not cause is logged in full and answered in general terms', async () => {
    const refusal = await callFailing(new Error('password of the database is hunter2'));
    expect(refusal).toMatchObject({ code: 'Internal', reason: 'ERROR_REASON_INTERNAL', metadata: {} });
    expect(refusal.message).toBe(
      'The server failed to answer. Its log has the details under the request id request-1.',
    );
    expect(gateway.logLines.join('')).toContain('hunter2');
  });

  it('with the reason internal keeps its own message in the log', async () => {
    const refusal = await callFailing(new GatewayError('internal', 'key 7 cannot be opened'));
    expect(refusal.message).not.toContain('key 7');
    expect(gateway.logLines.join('')).toContain('key 7');
  });

  it('of the framework keeps its code and gets a reason', async () => {
    const refusal = await callFailing(new ConnectError('the deadline has passed', Code.DeadlineExceeded));
    expect(refusal).toMatchObject({
      code: 'DeadlineExceeded',
      reason: 'ERROR_REASON_CANCELED',
      requestId: 'request-1',
    });
  });

  it('that another server sent is not passed on', async () => {
    const refusal = await callFailing(new ConnectError('you are not logged in there', Code.Unauthenticated));
    expect(refusal).toMatchObject({ code: 'Internal', reason: 'ERROR_REASON_INTERNAL' });
  });
});

describe('an invalid request', () => {
  it('is answered with every broken rule', async () => {
    gateway = await createInstallation();
    const refusal = await refusalOf(
      gateway.as(gateway.admin, UpstreamService).createUpstream({
        slug: 'Not A Slug',
        transport: { value: { case: 'streamableHttp', value: { url: 'no url' } } },
        toolFilter: { allowedTools: ['a*b'] },
      }),
    );
    expect(refusal).toMatchObject({ code: 'InvalidArgument', reason: 'ERROR_REASON_VALIDATION_FAILED' });
    expect(refusal.violations.map(({ field }) => field)).toEqual([
      'slug',
      'transport.streamable_http.url',
      'tool_filter.allowed_tools[0]',
    ]);
    expect(refusal.message).toContain('slug: ');
  });

  it('never shows a secret in the error or the log', async () => {
    gateway = await createInstallation();
    const refusal = await refusalOf(
      gateway.as(gateway.admin, UpstreamService).createUpstream({
        slug: 'demo',
        transport: { value: { case: 'streamableHttp', value: { url: 'https://mcp.example.com/' } } },
        auth: { value: { case: 'bearer', value: { token: 'hunter2 hunter2' } } },
      }),
    );
    expect(refusal.violations.map(({ field }) => field)).toEqual(['auth.bearer.token']);
    expect(JSON.stringify(refusal, (_key, value) => (typeof value === 'bigint' ? `${value}` : value))).not.toContain(
      'hunter2',
    );
    expect(gateway.logLines.join('')).not.toContain('hunter2');
  });
});

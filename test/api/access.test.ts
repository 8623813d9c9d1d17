import type { DescMethod } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Health } from '../../gen/grpc/health/v1/health_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { ProjectService } from '../../gen/portcullis/v1/project_service_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { checkAccess } from '../../src/api/access.ts';
import { createApiContext } from '../../src/api/context.ts';
import { SERVICES } from '../../src/api/routes.ts';
import { GatewayError } from '../../src/domain/errors.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createInstallation, type Installation, refusalOf, transportAs, withRights } from './installation.ts';

let gateway: Installation;

beforeEach(async () => {
  gateway = await createInstallation();
});

afterEach(() => gateway.close());

const PUBLIC = ['AuthService.Login', 'AuthService.RefreshToken'];
const CALLS = ['ToolService.ListTools', 'ToolService.CallTool', 'ToolService.Authorize'];

function partition<Item>(items: readonly Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}

describe('who may call a method', () => {
  it('is checked for every method: a stranger reaches only the public ones', () => {
    const values = createApiContext({ requestId: 'request-1' });
    const open = SERVICES.flatMap((service) => service.methods)
      .filter((method) => {
        try {
          checkAccess({ method, values }, () => false);
          return true;
        } catch {
          return false;
        }
      })
      .map((method) => `${method.parent.name}.${method.name}`);
    expect(open).toEqual(PUBLIC);
  });

  it('is nobody when the method does not say so', () => {
    const values = createApiContext({ requestId: 'request-1', caller: gateway.admin });
    const method = { ...AuthService.method.login, proto: { ...AuthService.method.login.proto } };
    delete method.proto.options;
    expect(() => checkAccess({ method, values }, () => true)).toThrow('does not say who may call it');
  });

  it('tells a stranger to send a credential', async () => {
    const refusal = await refusalOf(gateway.as(undefined, UpstreamService).listUpstreams({}));
    expect(refusal).toMatchObject({
      code: 'Unauthenticated',
      reason: 'ERROR_REASON_INVALID_API_KEY',
      requestId: 'request-1',
    });
  });

  it('tells why the credential was refused', async () => {
    const refused = new GatewayError('api_key_expired', 'The API key has expired.');
    const client = createClient(UpstreamService, transportAs(gateway.api, { refusal: refused }));
    expect(await refusalOf(client.listUpstreams({}))).toMatchObject({
      code: 'Unauthenticated',
      reason: 'ERROR_REASON_API_KEY_EXPIRED',
      message: 'The API key has expired.',
    });
  });

  it('ignores a refused credential on a public method', async () => {
    const refused = new GatewayError('token_expired', 'The token has expired.');
    const client = createClient(Health, transportAs(gateway.api, { refusal: refused }));
    expect(await client.check({})).toMatchObject({ status: 1 });
  });

  it('names the missing scope', async () => {
    const reader = withRights(gateway.admin, 'gateway:read');
    expect(await refusalOf(gateway.as(reader, UpstreamService).deleteUpstream({}))).toMatchObject({
      code: 'PermissionDenied',
      reason: 'ERROR_REASON_PERMISSION_DENIED',
      metadata: { required_permissions: 'gateway:write' },
    });
  });

  it('is decided before the request is validated, also for streams', async () => {
    const caller = withRights(gateway.admin, 'tools:call');
    const unary = gateway.as(caller, UpstreamService).createUpstream({ slug: 'NOT VALID' });
    expect(await refusalOf(unary)).toMatchObject({ code: 'PermissionDenied', violations: [] });
    const stream = gateway.as(caller, DecisionService).watchDecisions({ filter: { principalId: 'not valid' } });
    expect(await refusalOf(stream[Symbol.asyncIterator]().next())).toMatchObject({
      code: 'PermissionDenied',
      violations: [],
    });
  });

  it('lets admins of the project default, and no other admins, create projects', async () => {
    expect(
      await refusalOf(gateway.as(gateway.otherAdmin, ProjectService).createProject({ slug: 'mine' })),
    ).toMatchObject({ code: 'PermissionDenied', message: 'Only admins of the project "default" may do this.' });
    const { project } = await gateway.as(gateway.admin, ProjectService).createProject({ slug: 'mine' });
    expect(project?.slug).toBe('mine');
  });

  it('lets admin stand for every scope', async () => {
    expect(await gateway.as(gateway.otherAdmin, UpstreamService).listUpstreams({})).toMatchObject({ upstreams: [] });
  });
});

describe('an agent that is not ACTIVE', () => {
  it.each(['suspended', 'revoked'] as const)('may do nothing when it is %s, and is told why', (agentState) => {
    const agent = { ...gateway.admin, kind: 'agent' as const, name: 'bot', agentState };
    const values = createApiContext({ requestId: 'request-1', caller: agent });
    const check = (method: DescMethod) => () => checkAccess({ method, values }, () => true);
    const [open, closed] = partition(
      SERVICES.flatMap((service) => service.methods),
      (method) => [...PUBLIC, ...CALLS].includes(`${method.parent.name}.${method.name}`),
    );
    // Calls are denied on their path, where the denial is recorded.
    for (const method of open) {
      expect(check(method)).not.toThrow();
    }
    for (const method of closed) {
      expect(check(method)).toThrow(
        expect.objectContaining({
          reason: 'permission_denied',
          message: `The agent 'bot' is ${agentState.toUpperCase()}, so it may do nothing.`,
          metadata: { agent_state: agentState },
        }),
      );
    }
    expect(open).toHaveLength(5);
  });

  it('is let through when it is ACTIVE', async () => {
    const agent = { ...gateway.admin, kind: 'agent' as const, agentState: 'active' as const };
    expect(await gateway.as(agent, UpstreamService).listUpstreams({})).toMatchObject({ upstreams: [] });
  });

  it('loses its open streams', async () => {
    const agent = { ...gateway.admin, kind: 'agent' as const, agentState: 'active' as const };
    const states = { now: agent as Principal };
    const facts = { caller: agent, authenticate: () => states.now };
    const client = createClient(DecisionService, transportAs(gateway.api, facts));
    const stream = client.watchDecisions({})[Symbol.asyncIterator]();
    expect((await stream.next()).value?.value.case).toBe('checkpoint');
    states.now = { ...agent, agentState: 'suspended' };
    const end = async () => {
      for (;;) await stream.next();
    };
    expect(await refusalOf(end())).toMatchObject({ code: 'PermissionDenied', metadata: { agent_state: 'suspended' } });
  });
});

describe('the caller', () => {
  it('learns who it is and what it may do', async () => {
    const caller = {
      ...withRights(gateway.admin, 'gateway:read', 'tools:call'),
      keyPrefix: 'pc_3kf9a2b7',
      expireTime: 1_800_000_000_000,
    };
    const answer = await gateway.as(caller, AuthService).getCaller({});
    expect(answer.caller).toMatchObject({
      kind: 1,
      name: 'admin',
      projectId: gateway.admin.projectId,
      scopes: [1, 3],
      grants: { allUpstreams: true, upstreamIds: [] },
      keyPrefix: 'pc_3kf9a2b7',
      expireTime: { seconds: 1_800_000_000n },
    });
  });
});

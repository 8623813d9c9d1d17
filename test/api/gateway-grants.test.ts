import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { AuthService } from '../../gen/portcullis/v1/auth_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { hashApiKey } from '../../src/authn/api-key.ts';
import { withChange } from '../../src/db/config-changes.ts';
import { insertGateway } from '../../src/db/gateways.ts';
import { type GatewayId, newId, type UpstreamId } from '../../src/domain/ids.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { createHotConfig } from '../../src/snapshot/hot-config.ts';
import { gateway as sampleGateway } from '../store/samples.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;
let gatewayId: GatewayId;
let upstreamId: string;

beforeEach(async () => {
  gateway = await createInstallation();
  const transport = { value: { case: 'streamableHttp' as const, value: { url: 'https://mcp.example.com/mcp' } } };
  const upstreams = gateway.as(gateway.admin, UpstreamService);
  upstreamId = (await upstreams.createUpstream({ slug: 'files', transport })).upstream?.id ?? '';
  gatewayId = newId<GatewayId>();
  const shared = sampleGateway({ id: gatewayId, projectId: gateway.admin.projectId, slug: 'shared' });
  await withChange(gateway.store, 'gateway', gatewayId, (trx) => insertGateway(trx, shared));
});

afterEach(() => gateway.close());

/** The principal that a key's text stands for. */
async function principalOf(secret: string): Promise<Principal> {
  const config = await createHotConfig(gateway.store);
  config.close();
  const entry = config.findKey(hashApiKey(secret));
  if (entry === undefined) {
    throw new Error('there is no such key');
  }
  return entry.principal;
}

describe('a key whose grants name a gateway', () => {
  it('shows it, and its principal reaches the gateway and none of its upstreams by their own slugs', async () => {
    const keys = gateway.as(gateway.admin, ApiKeyService);
    const { apiKey, secret } = await keys.createApiKey({
      scopes: [Scope.TOOLS_CALL, Scope.GATEWAY_READ],
      grants: { gatewayIds: [gatewayId] },
    });
    expect(apiKey?.grants).toMatchObject({ allUpstreams: false, upstreamIds: [], gatewayIds: [gatewayId] });
    expect((await keys.getApiKey({ id: apiKey?.id ?? '' })).apiKey).toEqual(apiKey);
    const principal = await principalOf(secret);
    expect([principal.grants, principal.gatewayGrants]).toEqual([new Set(), new Set([gatewayId])]);
    const { caller } = await gateway.as(principal, AuthService).getCaller({});
    expect(caller?.grants).toMatchObject({ allUpstreams: false, upstreamIds: [], gatewayIds: [gatewayId] });
    const upstreams = gateway.as(principal, UpstreamService);
    expect((await upstreams.listUpstreams({})).upstreams).toEqual([]);
    const files = { value: { case: 'slug' as const, value: 'files' } };
    expect(await refusalOf(upstreams.getUpstream({ upstream: files }))).toMatchObject({ code: 'PermissionDenied' });
  });

  it('loses it when other grants replace them, and has both kinds when both are named', async () => {
    const keys = gateway.as(gateway.admin, ApiKeyService);
    const { apiKey } = await keys.createApiKey({ scopes: [Scope.TOOLS_CALL], grants: { gatewayIds: [gatewayId] } });
    const id = apiKey?.id ?? '';
    const grantsAfter = async (grants: Parameters<typeof keys.updateApiKey>[0]['grants']) =>
      (await keys.updateApiKey({ id, ...(grants === undefined ? { displayName: 'same' } : { grants }) })).apiKey
        ?.grants;
    expect(await grantsAfter(undefined)).toMatchObject({ gatewayIds: [gatewayId] });
    const both = { upstreamIds: [upstreamId], gatewayIds: [gatewayId] };
    expect(await grantsAfter(both)).toMatchObject({ allUpstreams: false, ...both });
    expect(await grantsAfter({ upstreamIds: [upstreamId] })).toMatchObject({ gatewayIds: [] });
    expect(await grantsAfter(both)).toMatchObject(both);
    expect(await grantsAfter({ allUpstreams: true })).toMatchObject({
      allUpstreams: true,
      upstreamIds: [],
      gatewayIds: [],
    });
  });

  it('is refused with a gateway that is not there, with one twice, and with one beside everything', async () => {
    const keys = gateway.as(gateway.admin, ApiKeyService);
    const violationsOf = async (grants: { allUpstreams?: boolean; gatewayIds: string[] }) =>
      (await refusalOf(keys.createApiKey({ scopes: [Scope.TOOLS_CALL], grants }))).violations;
    expect(await violationsOf({ gatewayIds: [gatewayId, newId()] })).toEqual([
      { field: 'grants.gateway_ids[1]', description: 'is not a gateway of the project, or it is deleted' },
    ]);
    expect(await violationsOf({ gatewayIds: [upstreamId] })).toMatchObject([{ field: 'grants.gateway_ids[0]' }]);
    expect(await violationsOf({ gatewayIds: [gatewayId, gatewayId] })).toMatchObject([{ field: 'grants.gateway_ids' }]);
    expect(await violationsOf({ gatewayIds: ['shared'] })).toMatchObject([{ field: 'grants.gateway_ids[0]' }]);
    expect(await violationsOf({ allUpstreams: true, gatewayIds: [gatewayId] })).toMatchObject([{ field: 'grants' }]);
  });

  it('creates neither upstreams nor keys that reach more', async () => {
    const limited = { ...gateway.admin, grants: new Set<UpstreamId>(), gatewayGrants: new Set([gatewayId]) };
    const keys = gateway.as(limited, ApiKeyService);
    const { apiKey } = await keys.createApiKey({ scopes: [Scope.TOOLS_CALL] });
    expect(apiKey?.grants).toMatchObject({ allUpstreams: false, upstreamIds: [], gatewayIds: [gatewayId] });
    for (const grants of [{ allUpstreams: true }, { upstreamIds: [upstreamId] }, { gatewayIds: [newId()] }]) {
      const refusal = await refusalOf(keys.createApiKey({ scopes: [Scope.TOOLS_CALL], grants }));
      expect(refusal).toMatchObject({ code: 'PermissionDenied', message: expect.stringContaining('grants') });
    }
    const transport = { value: { case: 'streamableHttp' as const, value: { url: 'https://mcp.example.com/mcp' } } };
    const create = gateway.as(limited, UpstreamService).createUpstream({ slug: 'new', transport });
    expect(await refusalOf(create)).toMatchObject({
      message:
        'A credential whose grants name upstreams or gateways cannot create one. Use one that reaches all upstreams.',
    });
  });
});

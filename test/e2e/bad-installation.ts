import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ApiKeyService } from '../../gen/portcullis/v1/api_key_service_pb.ts';
import { Scope } from '../../gen/portcullis/v1/scope_pb.ts';
import { UpstreamService } from '../../gen/portcullis/v1/upstream_service_pb.ts';
import { type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { apiOf, streamableHttp } from './support-api.ts';
import { type RecordingUpstream, startRecordingUpstream } from './support-recording-upstream.ts';

/** A gateway with the upstreams `plain`, `off` (disabled) and `other`, all the same recording upstream. */
export interface BadInputInstallation {
  readonly gateway: GatewayProcess;
  readonly recorder: RecordingUpstream;
  /** Ids of the upstreams by slug. */
  readonly ids: Readonly<Record<'plain' | 'off' | 'other', string>>;
  stop(): Promise<void>;
}

/** Starts it with a time limit for uploads of 1 s. */
export async function startBadInputInstallation(): Promise<BadInputInstallation> {
  const recorder = await startRecordingUpstream();
  const env = { GATEWAY_DEMO_UPSTREAM: 'false', GATEWAY_REQUEST_TIMEOUT_SECONDS: '1' };
  const gateway = await startGateway({ env });
  const add = async (slug: string, enabled = true) => {
    const upstreams = apiOf(gateway, UpstreamService);
    const { upstream } = await upstreams.createUpstream({ slug, enabled, transport: streamableHttp(recorder.url) });
    return upstream?.id ?? '';
  };
  const ids = { plain: await add('plain'), off: await add('off', false), other: await add('other') };
  const stop = async () => {
    await gateway.stop();
    await recorder.stop();
  };
  return { gateway, recorder, ids, stop };
}

/** A key of the gateway's first user; by default with the scope `tools:call` and grants for everything. */
export async function addKey(gateway: GatewayProcess, options: { scopes?: Scope[]; upstreamIds?: string[] } = {}) {
  const { scopes = [Scope.TOOLS_CALL], upstreamIds } = options;
  const grants = upstreamIds === undefined ? { allUpstreams: true } : { upstreamIds };
  const { apiKey, secret } = await apiOf(gateway, ApiKeyService).createApiKey({ scopes, grants });
  return { id: apiKey?.id ?? '', secret };
}

/** A key whose time is over. */
export async function addExpiredKey(gateway: GatewayProcess): Promise<string> {
  const { id, secret } = await addKey(gateway);
  await apiOf(gateway, ApiKeyService).updateApiKey({ id, expireTime: timestampFromMs(Date.now() - 1000) });
  return secret;
}

/** A key that was taken back. */
export async function addRevokedKey(gateway: GatewayProcess): Promise<string> {
  const { id, secret } = await addKey(gateway);
  await apiOf(gateway, ApiKeyService).revokeApiKey({ id });
  return secret;
}

/** The old and the new secret of a key that was rotated without an overlap. */
export async function addRotatedKey(gateway: GatewayProcess): Promise<{ old: string; current: string }> {
  const { id, secret: old } = await addKey(gateway);
  const overlap = { seconds: 0n, nanos: 0 };
  const { secret: current } = await apiOf(gateway, ApiKeyService).rotateApiKey({ id, overlap });
  return { old, current };
}

/** Headers of a legacy MCP client with a key. */
export function mcpHeaders(apiKey: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...more,
  };
}

/** Body of a `tools/call` that the recording upstream answers. */
export const GOOD_CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"look","arguments":{"a":1}}}';

/** What the client gets for {@link GOOD_CALL}. */
export const GOOD_ANSWER =
  '{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[{"type":"text","text":"look"}]}}';

import { request } from 'undici';
import { startGateway } from '../support/gateway-process.ts';
import { compareRuns, printLeftOut, type Way } from './compare-runs.ts';
import { startFixture } from './fixture.ts';
import { startHeaderProxy } from './header-proxy.ts';
import { REVISIONS, type Revision } from './suite.ts';

const GATEWAY_ENV = {
  GATEWAY_DATABASE_URL: 'memory://',
  GATEWAY_PORT: '0',
  GATEWAY_DEMO_UPSTREAM: 'false',
  // The fixture listens on 127.0.0.1, which upstreams may not reach unless the operator says so.
  GATEWAY_UPSTREAM_NETWORKS: 'loopback',
};

/**
 * Runs both requirement sets of the official conformance suite against the fixture and on every way through a gateway process: to an
 * upstream of the same era, through a Gateway, and to an upstream of the other era. Exits with 1 when any check comes out differently.
 * `node test/conformance/run.ts 2026-07-28` runs one set only.
 */
async function main(wanted: readonly string[]): Promise<number> {
  await using cleanup = new AsyncDisposableStack();
  const fixture = await startFixture();
  cleanup.defer(() => fixture.close());
  const gateway = await startGateway({ env: GATEWAY_ENV });
  cleanup.defer(async () => void (await gateway.stop()));
  const authorization = `Bearer ${gateway.apiKey}`;
  // The suite has no option for a header of its own.
  const proxy = await startHeaderProxy({ target: gateway.baseUrl, header: ['Authorization', authorization] });
  cleanup.defer(() => proxy.close());
  const call = (method: string, body: object) => callApi(gateway.baseUrl, authorization, method, body);
  await createWays(call, fixture.url);

  const totals = { passed: 0, different: 0 };
  for (const revision of REVISIONS.filter((name) => wanted.length === 0 || wanted.includes(name))) {
    const ways = waysOf(revision).map((way) => ({ ...way, url: `${proxy.url}/v1/mcp/${way.slug}` }));
    const { passed, different } = await compareRuns(fixture.url, ways, revision, console.log);
    printLeftOut(revision, console.log);
    totals.passed += passed;
    totals.different += different;
  }
  console.log(`${totals.passed} passed, ${totals.different} failed`);
  return totals.different === 0 && totals.passed > 0 ? 0 : 1;
}

function waysOf(revision: Revision): (Omit<Way, 'url'> & { readonly slug: string })[] {
  const other = revision === '2025-11-25' ? 'modern' : 'legacy';
  return [
    { name: 'through the gateway', slug: 'fixture', kind: 'same era' },
    { name: 'through a Gateway', slug: 'composed', kind: 'gateway' },
    { name: 'to an upstream of the other era', slug: other, kind: 'other era' },
  ];
}

type CallApi = (method: string, body: object) => Promise<void>;

/** The fixture speaks both eras; as an upstream whose era is set it is spoken to in that one only. */
async function createWays(call: CallApi, url: string): Promise<void> {
  const transport = { streamableHttp: { url } };
  await call('UpstreamService/CreateUpstream', { slug: 'fixture', transport });
  await call('UpstreamService/CreateUpstream', { slug: 'modern', transport, era: 'ERA_MODERN' });
  await call('UpstreamService/CreateUpstream', { slug: 'legacy', transport, era: 'ERA_LEGACY' });
  await call('GatewayService/CreateGateway', { slug: 'composed', upstreams: [{ slug: 'fixture' }] });
}

async function callApi(baseUrl: string, authorization: string, method: string, message: object): Promise<void> {
  const { statusCode, body } = await request(`${baseUrl}/portcullis.v1.${method}`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(message),
  });
  const answer = await body.text();
  if (statusCode !== 200) throw new Error(`${method} answered ${statusCode}: ${answer}`);
}

process.exitCode = await main(process.argv.slice(2));

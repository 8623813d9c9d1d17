import { request } from 'undici';
import { startGateway } from '../support/gateway-process.ts';
import { compareRuns } from './compare-runs.ts';
import { startFixture } from './fixture.ts';
import { startHeaderProxy } from './header-proxy.ts';
import { REVISIONS } from './suite.ts';

const SLUG = 'fixture';

const GATEWAY_ENV = {
  GATEWAY_DATABASE_URL: 'memory://',
  GATEWAY_PORT: '0',
  GATEWAY_DEMO_UPSTREAM: 'false',
  // The fixture listens on 127.0.0.1, which upstreams may not reach unless the operator says so.
  GATEWAY_UPSTREAM_NETWORKS: 'loopback',
};

/**
 * Runs both requirement sets of the official conformance suite against the fixture and through a gateway process, and
 * exits with 1 when any check comes out differently. `node test/conformance/run.ts 2026-07-28` runs one set only.
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
  await createUpstream(gateway.baseUrl, authorization, fixture.url);

  const totals = { passed: 0, different: 0 };
  for (const revision of REVISIONS.filter((name) => wanted.length === 0 || wanted.includes(name))) {
    const urls = { fixture: fixture.url, gateway: `${proxy.url}/v1/mcp/${SLUG}` };
    const { passed, different } = await compareRuns(urls, revision, console.log);
    totals.passed += passed;
    totals.different += different;
  }
  console.log(`${totals.passed} passed, ${totals.different} failed`);
  return totals.different === 0 && totals.passed > 0 ? 0 : 1;
}

async function createUpstream(baseUrl: string, authorization: string, url: string): Promise<void> {
  const { statusCode, body } = await request(`${baseUrl}/portcullis.v1.UpstreamService/CreateUpstream`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ slug: SLUG, transport: { streamableHttp: { url } } }),
  });
  const answer = await body.text();
  if (statusCode !== 200) throw new Error(`CreateUpstream answered ${statusCode}: ${answer}`);
}

process.exitCode = await main(process.argv.slice(2));

import { join } from 'node:path';
import { Pool } from 'undici';
import { type Cell, measureCell } from './capacity.ts';
import { createTemporaryFolder } from './child-process.ts';
import { callApi, createUpstream, embeddedEnvironment, type RunningGateway, startGateway } from './gateway.ts';
import type { Plan } from './plan.ts';
import { createQuietRepeat } from './quiet-repeat.ts';
import { formatTable, type Section } from './report.ts';
import { eraHeaders, MODERN_META, writeRequestFile } from './requests.ts';
import { formatNumber, formatSpread, ratiosOf, spreadOf } from './statistics.ts';
import { startUpstream, type Target } from './targets.ts';
import { runWrk } from './wrk.ts';

const UPSTREAMS = 20;
/** Tools of one upstream: of the gateway whose tools are listed, and of the one whose tools are searched. */
const LISTED = 50;
const SEARCHED = 250;
const CONNECTIONS = 16;
/** Requests of one kind that are timed one after the other. */
const TIMED = 100;

interface Measured {
  readonly target: Target;
  readonly cells: Cell[];
}

/** What a Gateway of 20 upstreams costs: a call, the list of 1,000 tools, a search among 5,000 (modern era). */
export async function measureGateways(plan: Plan, say: (line: string) => void): Promise<Section> {
  const upstream = await startUpstream('1');
  const dataDir = createTemporaryFolder('gateways');
  const gateway = await startGateway({ cores: '0', env: embeddedEnvironment(dataDir) });
  await compose(gateway, 'listed', upstream.port, LISTED, 'DISCOVERY_MODE_LIST');
  await compose(gateway, 'searched', upstream.port, SEARCHED, 'DISCOVERY_MODE_SEARCH');
  const lists = await timeLists(gateway);
  const searches = await timeSearches(gateway);

  const last = UPSTREAMS - 1;
  const own = toolCalls(gateway, dataDir, 'own slug', `listed-${last}`, 'echo');
  const composed = toolCalls(gateway, dataDir, 'Gateway of 20', 'listed', `listed-${last}_echo`);
  for (const { target } of [own, composed]) {
    await runWrk(target.port, target.requestFiles.modern, CONNECTIONS, plan.warmSeconds);
  }
  const quiet = createQuietRepeat(plan.repeats);
  for (let round = 1; round <= plan.rounds; round++) {
    say(`gateways, round ${round} of ${plan.rounds}`);
    for (const { target, cells } of [own, composed]) {
      cells.push(await quiet.run(() => measureCell(target, upstream.child.pid, 'modern', CONNECTIONS, 2)));
    }
  }
  await gateway.child.stop();
  await upstream.child.stop();
  return report({ own, composed, lists, searches, plan });
}

async function compose(gateway: RunningGateway, slug: string, port: number, tools: number, discoveryMode: string) {
  const upstreams = Array.from({ length: UPSTREAMS }, (_, number) => ({ slug: `${slug}-${number}` }));
  for (const [number, upstream] of upstreams.entries()) {
    await createUpstream(gateway, {
      slug: upstream.slug,
      url: `http://127.0.0.1:${port}/modern?tools=${tools}&number=${number}`,
      era: 'modern',
      commit: 'before_forward',
      allTools: true,
    });
  }
  await callApi(gateway, 'GatewayService/CreateGateway', { slug, upstreams, discoveryMode });
}

function toolCalls(gateway: RunningGateway, folder: string, name: string, slug: string, tool: string): Measured {
  const requestFile = join(folder, `requests-${slug}`);
  writeRequestFile(requestFile, 'modern', [
    { port: gateway.port, path: `/v1/mcp/${slug}`, apiKey: gateway.apiKey, tool },
  ]);
  const requestFiles = { modern: requestFile, legacy: requestFile };
  return { target: { name, port: gateway.port, pid: gateway.child.pid, requestFiles }, cells: [] };
}

interface Times {
  /** Milliseconds. */
  readonly first: number;
  readonly later: readonly number[];
  readonly bytes: number;
}

/** The list of all tools: first with nothing known, then again and again. */
async function timeLists(gateway: RunningGateway): Promise<Times> {
  return timeRequests(
    gateway,
    'listed',
    () => ({ method: 'tools/list', params: {} }),
    `"listed-${UPSTREAMS - 1}_echo"`,
  );
}

const QUERIES = ['create an issue', 'invoice', 'search message', 'calendar', 'option_77', 'update file', 'forecast'];

/** Searches among all tools: the first also builds the index. */
async function timeSearches(gateway: RunningGateway): Promise<Times> {
  const request = (number: number) => {
    const query = `${QUERIES[number % QUERIES.length]} ${number % 13 === 0 ? '' : number}`;
    return { method: 'tools/call', name: 'search_tools', params: { name: 'search_tools', arguments: { query } } };
  };
  return timeRequests(gateway, 'searched', request, 'searched-');
}

async function timeRequests(
  gateway: RunningGateway,
  slug: string,
  requestOf: (number: number) => { readonly method: string; readonly name?: string; readonly params: object },
  expected: string,
): Promise<Times> {
  const pool = new Pool(`http://127.0.0.1:${gateway.port}`, { connections: 1 });
  const times: number[] = [];
  let bytes = 0;
  for (let number = 0; number <= TIMED; number++) {
    const { method, name, params } = requestOf(number);
    const message = { jsonrpc: '2.0', id: number, method, params: { ...params, _meta: MODERN_META } };
    const headers = { ...eraHeaders('modern', method, name), Authorization: `Bearer ${gateway.apiKey}` };
    const began = performance.now();
    const answer = await pool.request({
      path: `/v1/mcp/${slug}`,
      method: 'POST',
      headers,
      body: JSON.stringify(message),
    });
    const text = await answer.body.text();
    times.push(performance.now() - began);
    if (!text.includes(expected)) throw new Error(`${method} at ${slug}: ${answer.statusCode} ${text.slice(0, 300)}`);
    bytes = text.length;
  }
  await pool.close();
  const [first = 0, ...later] = times;
  return { first, later, bytes };
}

function report({
  own,
  composed,
  lists,
  searches,
  plan,
}: {
  readonly own: Measured;
  readonly composed: Measured;
  readonly lists: Times;
  readonly searches: Times;
  readonly plan: Plan;
}): Section {
  const cpuOf = ({ cells }: Measured) => cells.map((cell) => cell.cpuMicros);
  const ratio = spreadOf(ratiosOf(cpuOf(composed), cpuOf(own)));
  const rows = [own, composed].map((one) => [
    one.target.name,
    formatSpread(spreadOf(one.cells.map((cell) => cell.callsPerSecond))),
    formatSpread(spreadOf(cpuOf(one)), 1),
    formatNumber(one.cells.reduce((sum, cell) => sum + cell.wrk.refused, 0)),
  ]);
  const [list, search] = [lists, searches].map(({ later }) => spreadOf(later));
  if (list === undefined || search === undefined) throw new Error('nothing was timed');
  return {
    title: 'Gateways',
    foreign: spreadOf([own, composed].flatMap(({ cells }) => cells.map((cell) => cell.load.foreign))),
    text: [
      `${CONNECTIONS} connections, modern era, before_forward, embedded database; ${plan.rounds} rounds in turn.`,
      formatTable(['tools/call by', 'calls/s', 'CPU µs a call', 'refused'], rows),
      `tools/list of ${UPSTREAMS * LISTED} tools of ${UPSTREAMS} upstreams, ${formatNumber(lists.bytes)} bytes: first ${formatNumber(lists.first)} ms, then ${formatSpread(list, 1)} ms.`,
      `search_tools among ${UPSTREAMS * SEARCHED} tools: first, which reads the lists and makes the index, ${formatNumber(searches.first)} ms, then ${formatSpread(search, 1)} ms.`,
    ].join('\n\n'),
    checks: [
      {
        what: 'CPU per call through a Gateway of 20 upstreams, of that by the own slug',
        asked: '≤ 1.10',
        measured: formatSpread(ratio, 2),
        ok: ratio.median <= 1.1,
      },
      {
        what: 'first tools/list of 1,000 tools, ms',
        asked: '< 1,000',
        measured: formatNumber(lists.first),
        ok: lists.first < 1_000,
      },
      { what: 'the next ones, ms', asked: '< 5', measured: formatSpread(list, 1), ok: list.median < 5 },
      {
        what: 'search_tools among 5,000 tools, ms',
        asked: '< 10',
        measured: formatSpread(search, 1),
        ok: search.median < 10,
      },
    ],
  };
}

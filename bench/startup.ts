import { createTemporaryFolder } from './child-process.ts';
import { type RunningGateway, startGateway } from './gateway.ts';
import { createMcpClient } from './mcp-client.ts';
import type { Plan } from './plan.ts';
import { type Check, formatTable, type Section } from './report.ts';
import { formatNumber, formatSpread, spreadOf } from './statistics.ts';

const DEMO_PATH = '/v1/mcp/everything';
const DEMO_CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'echo', arguments: { message: 'hello' } },
});

interface Start {
  readonly firstReady: number;
  readonly firstAnswer: number;
  readonly secondReady: number;
  readonly secondAnswer: number;
}

/** From starting the process to ready and to the first answered call of the demo upstream, on a fresh data folder and on a used one. */
export async function measureStartup(plan: Plan, say: (line: string) => void): Promise<Section> {
  const starts: Start[] = [];
  for (let run = 1; run <= plan.starts; run++) {
    say(`startup, run ${run} of ${plan.starts}`);
    starts.push(await measureStart());
  }
  const of = (read: (start: Start) => number) => spreadOf(starts.map(read));
  const rows = [
    [
      'first start (fresh data folder)',
      formatSpread(of((start) => start.firstReady)),
      formatSpread(of((start) => start.firstAnswer)),
    ],
    ['second start', formatSpread(of((start) => start.secondReady)), formatSpread(of((start) => start.secondAnswer))],
  ];
  return {
    title: 'Startup',
    text: [
      `Milliseconds from starting the process, default settings, both cores; median (smallest–largest) of ${plan.starts}. The first call`,
      `opens a session and starts the demo upstream over stdio.\n\n${formatTable(['', 'ready', 'first call answered'], rows)}`,
    ].join('\n'),
    checks: [
      check('first start: ready', 1000, of((start) => start.firstReady).median),
      check('first start: first answered call of the demo upstream', 3000, of((start) => start.firstAnswer).median),
      check('second start: ready', 700, of((start) => start.secondReady).median),
    ],
  };
}

async function measureStart(): Promise<Start> {
  const env = { GATEWAY_DATA_DIR: createTemporaryFolder('start') };
  const first = await startGateway({ cores: '0,1', env });
  const firstAnswer = await callDemoUpstream(first);
  await first.child.stop('SIGTERM');
  const second = await startGateway({ cores: '0,1', env, apiKey: first.apiKey });
  const secondAnswer = await callDemoUpstream(second);
  await second.child.stop('SIGTERM');
  return { firstReady: first.readyMillis, firstAnswer, secondReady: second.readyMillis, secondAnswer };
}

/** Milliseconds from the start of the process to the answer. */
async function callDemoUpstream(gateway: RunningGateway): Promise<number> {
  const to = { port: gateway.port, path: DEMO_PATH, apiKey: gateway.apiKey };
  const client = createMcpClient(gateway.port);
  const sessionId = await client.openSession(to);
  await client.callTool({ ...to, sessionId }, DEMO_CALL);
  const answeredAt = performance.now();
  await client.close();
  return answeredAt - gateway.startedAt;
}

function check(what: string, asked: number, measured: number): Check {
  return {
    what: `${what}, ms`,
    asked: `< ${formatNumber(asked)}`,
    measured: formatNumber(measured),
    ok: measured < asked,
  };
}

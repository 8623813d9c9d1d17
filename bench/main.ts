import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAuthorize } from './authorize.ts';
import { measureCapacity } from './capacity.ts';
import { stopAllChildren } from './child-process.ts';
import { measureDecide } from './decide.ts';
import { isGatewayThere } from './gateway.ts';
import { measureGateways } from './gateways.ts';
import { measureLatency } from './latency.ts';
import { checkMachine, describeMachine } from './machine.ts';
import { measureMemory } from './memory.ts';
import { FULL_PLAN, type Plan, QUICK_PLAN } from './plan.ts';
import { measurePolicies } from './policies.ts';
import { formatReport, type Section } from './report.ts';
import { measureScale } from './scale.ts';
import { measureSimulation } from './simulation.ts';
import { measureStartup } from './startup.ts';
import { createTestbed, warmTestbed } from './targets.ts';

const USAGE = `bench/main.ts [--quick] [--no-gateway] [--no-postgres] [--out FILE] [capacity] [latency] [startup] [memory] [scale] [decide] [policies] [authorize] [simulation]
Runs the named measurements, or all. Everything in full goes to bench/results.md, anything less to FILE or the terminal.`;

const GATEWAY_MEASUREMENTS = [
  { name: 'startup', run: measureStartup },
  { name: 'memory', run: measureMemory },
  { name: 'scale', run: measureScale },
  { name: 'decide', run: measureDecide },
  { name: 'policies', run: measurePolicies },
  { name: 'authorize', run: measureAuthorize },
  { name: 'simulation', run: measureSimulation },
  { name: 'gateways', run: measureGateways },
] as const;
const NAMES = ['capacity', 'latency', ...GATEWAY_MEASUREMENTS.map(({ name }) => name)];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    gateway: { type: 'boolean', default: true },
    postgres: { type: 'boolean', default: true },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
});
const unknown = positionals.filter((name) => !NAMES.includes(name));
if (values.help || unknown.length > 0) {
  console.error(unknown.length > 0 ? `There is no measurement ${unknown.join(', ')}.\n${USAGE}` : USAGE);
  process.exit(values.help ? 0 : 2);
}

const startedAt = performance.now();
const say = (line: string) =>
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${line}`);
const isNamed = (name: string) => positionals.length === 0 || positionals.includes(name);
const plan: Plan = {
  ...(values.quick ? QUICK_PLAN : FULL_PLAN),
  withGateway: values.gateway && isGatewayThere(),
  withPostgres: values.postgres,
};

checkMachine();
const machine = describeMachine();
// Core 0 belongs to the target; the benchmark itself, which mostly waits, stays with the generator.
execFileSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)], { stdio: 'ignore' });
const sections = await measureAll();
const report = formatReport(machine, sections);
const out =
  values.out ?? (positionals.length === 0 && !values.quick ? join(import.meta.dirname, 'results.md') : undefined);
if (out === undefined) process.stdout.write(report);
else writeFileSync(out, report);
say(out === undefined ? 'done' : `done: ${out}`);
process.exit(0);

async function measureAll(): Promise<Section[]> {
  const sections: Section[] = [];
  const measure = async (title: string, run: () => Promise<Section>) => {
    sections.push(await run().catch((error: unknown) => failure(title, error)));
  };
  if (isNamed('capacity') || isNamed('latency')) {
    say('starting the targets');
    const testbed = await createTestbed(plan);
    await warmTestbed(testbed, plan.eras, plan.warmSeconds);
    if (isNamed('capacity')) await measure('Capacity', () => measureCapacity(testbed, plan, say));
    if (isNamed('latency')) await measure('Latency', () => measureLatency(testbed, plan, say));
    await stopAllChildren();
  }
  if (!plan.withGateway) return sections;
  for (const { name, run } of GATEWAY_MEASUREMENTS) {
    if (isNamed(name)) await measure(name, () => run(plan, say));
    await stopAllChildren();
  }
  return sections;
}

/** A measurement that broke off is a missed figure; the others go on. */
function failure(title: string, error: unknown): Section {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  say(`${title} broke off: ${reason}`);
  const line = reason.split('\n')[0]?.replaceAll('|', '/') ?? '';
  return {
    title,
    text: `Broke off.\n\n\`\`\`\n${reason}\n\`\`\``,
    checks: [{ what: title, asked: 'measured', measured: line, ok: false }],
  };
}

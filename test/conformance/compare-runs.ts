import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareChecks, formatDifferences } from './comparison.ts';
import { type Check, type Revision, runSuite } from './suite.ts';

/** How the two runs of one requirement set compare. */
export interface RunComparison {
  /** Checks that succeed against the fixture and through the gateway. */
  passed: number;
  /** Checks whose outcome differs. */
  different: number;
}

/**
 * Runs one requirement set against the fixture, then through the gateway, prints both totals, what already fails
 * against the fixture, and a table of the differences. The raw results are kept, and named, only if there are any.
 */
export async function compareRuns(
  urls: { fixture: string; gateway: string },
  revision: Revision,
  print: (text: string) => void,
): Promise<RunComparison> {
  const folder = await mkdtemp(join(tmpdir(), `conformance-${revision}-`));
  const fixture = await runSuite(urls.fixture, revision, join(folder, 'fixture'));
  const gateway = await runSuite(urls.gateway, revision, join(folder, 'gateway'));
  const differences = compareChecks(fixture, gateway);

  print(`${revision} against the fixture: ${describe(fixture)}`);
  print(`${revision} through the gateway: ${describe(gateway)}`);
  for (const line of failingScenarios(fixture)) print(`  fails against the fixture itself: ${line}`);
  if (differences.length > 0) print(`${formatDifferences(differences)}\nThe suite's results are in ${folder}`);
  else await rm(folder, { recursive: true });
  return { passed: countOf(fixture, 'SUCCESS') - lost(differences), different: differences.length };
}

function lost(differences: readonly { fixture: string }[]): number {
  return differences.filter((difference) => difference.fixture === 'SUCCESS').length;
}

function describe(checks: readonly Check[]): string {
  const scenarios = new Set(checks.map((check) => check.scenario)).size;
  const counts = (['SUCCESS', 'FAILURE', 'WARNING', 'SKIPPED'] as const).map((status) => countOf(checks, status));
  return `${scenarios} scenarios, ${counts[0]} checks passed, ${counts[1]} failed, ${counts[2]} warned, ${counts[3]} skipped`;
}

function countOf(checks: readonly Check[], status: Check['status']): number {
  return checks.filter((check) => check.status === status).length;
}

function failingScenarios(checks: readonly Check[]): string[] {
  const failing = Map.groupBy(
    checks.filter((check) => check.status === 'FAILURE'),
    (check) => check.scenario,
  );
  return [...failing].map(([scenario, failed]) => `${scenario} (${failed.length} failed)`);
}

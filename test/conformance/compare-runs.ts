import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareChecks, formatDifferences } from './comparison.ts';
import { isLeftOut, LEFT_OUT, type WayKind } from './left-out.ts';
import { type Check, type Revision, runSuite } from './suite.ts';

/** A way through the gateway to the fixture. */
export interface Way {
  /** Such as `through the gateway`. */
  readonly name: string;
  readonly url: string;
  /** On some ways some checks mean nothing. */
  readonly kind: WayKind;
}

/** How the runs of one requirement set compare. */
export interface RunComparison {
  /** Checks that succeed against the fixture and on a way through the gateway, over all ways. */
  passed: number;
  /** Checks whose outcome differs, over all ways. */
  different: number;
}

/**
 * Runs one requirement set against the fixture, then on each way through the gateway, prints the totals, what already fails
 * against the fixture, and a table of the differences. The raw results are kept, and named, only if there are any.
 */
export async function compareRuns(
  fixtureUrl: string,
  ways: readonly Way[],
  revision: Revision,
  print: (text: string) => void,
): Promise<RunComparison> {
  const folder = await mkdtemp(join(tmpdir(), `conformance-${revision}-`));
  const fixture = await runSuite(fixtureUrl, revision, join(folder, 'fixture'));
  print(`${revision} against the fixture: ${describe(fixture)}`);
  for (const line of failingScenarios(fixture)) print(`  fails against the fixture itself: ${line}`);

  const total: RunComparison = { passed: 0, different: 0 };
  for (const [index, way] of ways.entries()) {
    const gateway = await runSuite(way.url, revision, join(folder, String(index)));
    print(`${revision} ${way.name}: ${describe(gateway)}`);
    const [expected, actual] = [fixture, gateway].map((checks) => comparable(checks, way, revision));
    const differences = compareChecks(expected ?? [], actual ?? []);
    if (differences.length > 0) print(`${formatDifferences(differences)}\nThe suite's results are in ${folder}`);
    total.passed += countOf(expected ?? [], 'SUCCESS') - lost(differences);
    total.different += differences.length;
  }
  if (total.different === 0) await rm(folder, { recursive: true });
  return total;
}

/** Prints what is not compared, and why. */
export function printLeftOut(revision: Revision, print: (text: string) => void): void {
  for (const { scenario, ways, checks, reason } of LEFT_OUT.filter((left) => left.revision === revision)) {
    const what = `${scenario}${checks === undefined ? '' : ` (${checks.join(', ')})`}`;
    print(`  left out (${ways.join(', ')}): ${what}: ${reason}`);
  }
}

function comparable(checks: readonly Check[], way: Way, revision: Revision): Check[] {
  return checks.filter(({ scenario, id }) => !isLeftOut(revision, way.kind, scenario, id));
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

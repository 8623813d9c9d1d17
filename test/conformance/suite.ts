import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** The protocol revisions that have a requirement set. */
export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;

/** One of {@link REVISIONS}. */
export type Revision = (typeof REVISIONS)[number];

/** The outcome of one check of the conformance suite. */
export interface Check {
  scenario: string;
  /** The suite's check id; repeated ids of a scenario are numbered `id#2`, `id#3`. */
  id: string;
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  /** Why the check is not a success, in the suite's words. */
  message?: string;
}

const SUITE = createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/dist/index.js');
// The suite names a scenario's folder `server-<scenario>-<time>`.
const FOLDER = /^server-(?<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/;

/**
 * Runs one requirement set of the official suite against an MCP endpoint and returns its checks by name of the scenario;
 * the raw results stay in `folder`. Throws when the suite itself could not run; failing checks are no failure here.
 */
export async function runSuite(url: string, revision: Revision, folder: string): Promise<Check[]> {
  const args = [
    SUITE,
    'server',
    '--url',
    url,
    '--requirements',
    revision,
    '--output-dir',
    folder,
    '--timeout',
    '15000',
  ];
  const suite = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exit = new Promise<number | null>((resolve, reject) => suite.once('error', reject).once('exit', resolve));
  const [code, output, errors] = await Promise.all([exit, text(suite.stdout), text(suite.stderr)]);
  if (!output.includes('=== SUMMARY ===')) {
    throw new Error(`The conformance suite broke off with exit code ${code}: ${errors.slice(-2_000)}`);
  }
  return readResults(folder);
}

async function readResults(folder: string): Promise<Check[]> {
  const checks: Check[] = [];
  for (const name of await readdir(folder)) {
    const scenario = FOLDER.exec(name)?.groups?.scenario;
    if (scenario === undefined) throw new Error(`Unexpected entry ${name} among the suite's results in ${folder}`);
    checks.push(...parseChecks(scenario, await readChecks(join(folder, name, 'checks.json'))));
  }
  return checks;
}

async function readChecks(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** The checks of one scenario from its `checks.json`; a scenario that threw leaves none, which is one failed check. */
export function parseChecks(scenario: string, json: string | undefined): Check[] {
  if (json === undefined) return [{ scenario, id: 'scenario-ran', status: 'FAILURE', message: 'The scenario threw' }];
  // The shape that the suite writes; a test of ours that depends on it fails when it changes.
  const results = JSON.parse(json) as { id: string; status: Check['status']; errorMessage?: string }[];
  const seen = new Map<string, number>();
  return results.map(({ id, status, errorMessage }) => {
    const count = (seen.get(id) ?? 0) + 1;
    seen.set(id, count);
    const message = errorMessage === undefined ? {} : { message: errorMessage };
    return { scenario, id: count === 1 ? id : `${id}#${count}`, status, ...message };
  });
}

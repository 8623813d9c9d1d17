import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createApiKey } from '../../src/authn/api-key.ts';
import { freePort } from '../upstream/http-clients.ts';
import type { ChattyClient } from './support-chatty-clients.ts';
import { createCleanUp } from './support-clean-up.ts';
import { callAt, createHealingWorld, type HealingWorld, SLUGS, type Slug, toolsOf } from './support-healing-world.ts';

/** Longest time until what was down is there again, with the pauses between tries. */
const SOON = { timeout: 40_000, interval: 100 };

let world: HealingWorld;
const cleanUp = createCleanUp();

beforeAll(async () => {
  world = await createHealingWorld(cleanUp);
});

afterAll(cleanUp.run);

describe('a gateway of upstreams over every transport', () => {
  for (const victim of ['old', 'new', 'events'] as const) {
    test(`[I4-LIST-CALL] '${victim}' may restart between a list and a call`, async () => {
      const clients = await world.connect();
      for (const client of clients) {
        expect((await client.tools()).sort()).toEqual(toolsOf(SLUGS));
      }
      await world.processes[victim].kill();
      await world.processes[victim].start();
      for (const client of clients) {
        await callAt(client, victim, `after the restart, ${client.era}`);
      }
    });
  }

  test('[I4-LIST-CALL] a process of its own may die between a list and a call', async () => {
    const clients = await world.connect();
    for (const client of clients) {
      expect((await client.tools()).sort()).toEqual(toolsOf(SLUGS));
    }
    await expect(clients[0]?.call('local_die', {})).rejects.toThrow(/the upstream "local"/i);
    for (const client of clients) {
      await callAt(client, 'local', `after the death, ${client.era}`);
    }
  });

  for (const victim of ['old', 'new', 'events'] as const) {
    test(`[I4-RESTART] serves 20 clients undisturbed while '${victim}' is killed and started again, and then that one too`, {
      timeout: 120_000,
    }, async () => {
      const clients = await world.connect(10);
      const work = workWithout(victim, clients);
      await vi.waitFor(() => work.expectAll('whole', 2), SOON);
      await world.processes[victim].kill();
      await vi.waitFor(() => work.expectAll('broken', 3), SOON);
      await world.processes[victim].start();
      await vi.waitFor(() => work.expectAll('whole', 3), SOON);
      expect(await work.end()).toEqual([]);
      await Promise.all(clients.map((client) => client.close()));
    });
  }

  test('[I4-COMPLETE-LIST] lists what an upstream has after its restart, and what it had after another one', {
    timeout: 120_000,
  }, async () => {
    const clients = await world.connect();
    for (const extra of [['--extra', 'more'], ['--extra', 'others'], []]) {
      for (const victim of ['old', 'new'] as const) {
        await world.processes[victim].kill();
        await world.processes[victim].start(...extra);
      }
      const added = extra.slice(1).flatMap((name) => [`old_${name}`, `new_${name}`]);
      const expected = [...toolsOf(SLUGS), ...added].sort();
      for (const client of clients) {
        await vi.waitFor(async () => expect((await client.tools()).sort()).toEqual(expected), SOON);
      }
    }
  });

  test('[I4-COMPLETE-LIST] lists everything to a client that comes back, every time', async () => {
    for (let turn = 0; turn < 10; turn++) {
      const clients = await world.connect();
      for (const client of clients) {
        expect((await client.tools()).sort()).toEqual(toolsOf(SLUGS));
        await client.close();
      }
    }
  });
});

test('[I4-COMPLETE-LIST] lists everything to clients that stay while the gateway itself is killed and started again', {
  timeout: 120_000,
}, async () => {
  const dataDir = await cleanUp.add(mkdtemp(join(tmpdir(), 'portcullis-healing-')), (path) =>
    rm(path, { recursive: true }),
  );
  const options = { dataDir, apiKey: createApiKey(), env: { GATEWAY_PORT: String(await freePort()) } };
  const { gateway, connect, restart } = await createHealingWorld(cleanUp, options);
  const clients = await connect();
  await gateway.kill();
  await restart();
  for (const client of clients) {
    expect((await client.tools()).sort()).toEqual(toolsOf(SLUGS));
    await Promise.all(SLUGS.map((slug) => callAt(client, slug, `${client.era} after the restart`)));
    await client.close();
  }
});

/** What a round of a client found of the upstream that is killed. */
type Finding = 'whole' | 'broken';

/** Clients that list, and call every upstream, again and again. */
function workWithout(victim: Slug, clients: readonly ChattyClient[]) {
  const others = SLUGS.filter((slug) => slug !== victim);
  const faults: string[] = [];
  /** What the last rounds of each client found, newest first. */
  const findings = clients.map((): Finding[] => []);
  const over = new AbortController();

  async function round(client: ChattyClient, name: string): Promise<Finding> {
    const fault = (what: string) => (error: unknown) => void faults.push(`${name}, ${what}: ${String(error)}`);
    const listed = await client.tools().catch(fault('list'));
    const missing = toolsOf(others).filter((tool) => listed?.includes(tool) === false);
    if (missing.length > 0) {
      fault('list')(`without ${missing.join(', ')}`);
    }
    await Promise.all(others.map((slug) => callAt(client, slug, name).catch(fault(slug))));
    const isListed = toolsOf([victim]).every((tool) => listed?.includes(tool) === true);
    const isCalled = await callAt(client, victim, name).then(
      () => true,
      () => false,
    );
    return isListed && isCalled ? 'whole' : 'broken';
  }

  const working = clients.map(async (client, index) => {
    for (let turn = 0; !over.signal.aborted; turn++) {
      findings[index]?.unshift(await round(client, `${client.era} client ${index}, round ${turn}`));
    }
  });

  return {
    /** Throws unless the last so many rounds of every client found this. */
    expectAll(finding: Finding, rounds: number): void {
      const expected = Array.from({ length: rounds }, () => finding);
      expect(findings.map((found) => found.slice(0, rounds))).toEqual(clients.map(() => expected));
    },
    /** Resolves with all that went wrong with the others. */
    async end(): Promise<readonly string[]> {
      over.abort();
      await Promise.all(working);
      return faults;
    },
  };
}

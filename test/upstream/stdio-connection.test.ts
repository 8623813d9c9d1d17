import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { GatewayError } from '../../src/domain/errors.ts';
import type { Upstream } from '../../src/domain/upstream.ts';
import type { Connection } from '../../src/upstream/connection.ts';
import type { JsonObject } from '../../src/upstream/message.ts';
import { fakeUpstream, gone, isAlive, processesOf, silentLog } from './stdio.ts';

const started: ReturnType<typeof processesOf>[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((processes) => processes.close()));
});

/** What the tools of the fake upstream answer here. */
interface FakeResult {
  readonly pid: number;
  readonly child: number;
  readonly text: string;
  readonly env: Readonly<Record<string, string>>;
}

async function connect(upstream: Upstream, log = silentLog) {
  const processes = processesOf(log);
  started.push(processes);
  const connection = await processes.start(upstream);
  const waiting: ((message: JsonObject) => void)[] = [];
  connection.onMessage((message) => waiting.shift()?.(message));
  const closed = new Promise<GatewayError>((resolve) => connection.onClose(resolve));
  const call = (name: string, args: object = {}) => {
    const answer = new Promise<FakeResult>((resolve) => waiting.push(({ result }) => resolve(result as FakeResult)));
    void send(connection, name, args);
    return answer;
  };
  return { connection, closed, call };
}

function send(connection: Connection, name: string, args: object = {}): Promise<void> {
  return connection.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
}

describe('a stdio connection', () => {
  test('carries messages of several chunks and with every kind of character', async () => {
    const { call } = await connect(fakeUpstream());
    expect(await call('echo', { text: 'zoë 💡\n\u2028 "' })).toEqual({ text: 'zoë 💡\n\u2028 "' });
    expect((await call('large', { size: 5_000_000 })).text).toHaveLength(5_000_000);
    expect(await call('echo', { text: 'é'.repeat(500_000) })).toEqual({ text: 'é'.repeat(500_000) });
  });

  test('gives the process a minimal environment and what is configured', async () => {
    const upstream = fakeUpstream({}, { secrets: { env: { API_TOKEN: 't', PATH: process.env.PATH ?? '' } } });
    process.env.GATEWAY_SECRET_KEY = 'must not leave';
    const { call } = await connect(upstream);
    const { env } = await call('environment');
    delete process.env.GATEWAY_SECRET_KEY;
    expect(env.API_TOKEN).toBe('t');
    expect(env.HOME).toBe(process.env.HOME);
    const allowed = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'USER', 'SHELL', 'TERM', 'API_TOKEN'];
    expect(Object.keys(env).filter((name) => !allowed.includes(name))).toEqual([]);
  });

  test('reports a crash with the exit code and the last line of stderr', async () => {
    const { connection, closed } = await connect(fakeUpstream());
    await send(connection, 'crash');
    const error = await closed;
    expect(error.reason).toBe('bad_gateway');
    expect(error.message).toBe('The process of the upstream "demo" exited with code 3: out of tools');
    await expect(send(connection, 'echo')).rejects.toBe(error);
  });

  test('shows no configured secret in its errors and logs', async () => {
    const lines: string[] = [];
    const log = {
      debug: (fields: object) => lines.push(JSON.stringify(fields)),
      warn: () => undefined,
    } as unknown as typeof silentLog;
    const { closed } = await connect(
      fakeUpstream({ args: ['--refuse'] }, { secrets: { env: { TOKEN: 's3cret-value' } } }),
      log,
    );
    expect((await closed).message).toBe(
      'The process of the upstream "demo" exited with code 1: cannot read /etc/token ***',
    );
    expect(lines).toEqual(['{"upstream":"demo","line":"cannot read /etc/token ***"}']);
  });

  test('reports a command that does not exist', async () => {
    const { closed } = await connect(fakeUpstream({ command: 'no-such-command' }));
    expect(await closed).toMatchObject({
      reason: 'bad_gateway',
      message: expect.stringContaining('could not be started. Check that its command is installed'),
    });
  });

  test('reports a working directory that does not exist', async () => {
    const { closed } = await connect(fakeUpstream({ workingDirectory: '/no/such/directory' }));
    expect((await closed).message).toContain('working directory');
  });

  test('never starts a command that the operator does not allow', async () => {
    const processes = processesOf();
    started.push(processes);
    await expect(processes.start(fakeUpstream({ command: '/bin/sh' }))).rejects.toMatchObject({
      reason: 'failed_precondition',
      message: expect.stringContaining('GATEWAY_STDIO_COMMANDS'),
    });
  });

  test('runs no shell: arguments arrive as they are', async () => {
    const { call } = await connect(fakeUpstream({ args: ['$(touch /tmp/portcullis-pwned)', '; exit 1', '`id`'] }));
    expect(await call('echo', { ok: true })).toEqual({ ok: true });
  });

  test('ends on a message of more than 16 MiB', async () => {
    const { connection, closed } = await connect(fakeUpstream());
    await send(connection, 'huge');
    expect((await closed).message).toContain('more than 16 MiB');
  });

  test('ends a process that does not take its input', async () => {
    const { connection, closed } = await connect(fakeUpstream());
    await send(connection, 'freeze');
    const message = { text: 'z'.repeat(1024 * 1024) };
    const results = await Promise.allSettled(Array.from({ length: 24 }, () => connection.send(message)));
    expect(results.some(({ status }) => status === 'rejected')).toBe(true);
    expect((await closed).message).toContain('does not take its input');
  });

  test('ends in good order when its stdin closes', async () => {
    const { connection, closed, call } = await connect(fakeUpstream());
    const { pid } = await call('pid');
    const start = performance.now();
    await connection.close();
    expect(isAlive(pid)).toBe(false);
    expect(performance.now() - start).toBeLessThan(1500);
    expect((await closed).reason).toBe('unavailable');
  });

  test('kills a process that neither stdin nor SIGTERM ends', { timeout: 10_000 }, async () => {
    const { connection, call } = await connect(fakeUpstream({ args: ['--stubborn'] }));
    const { pid } = await call('pid');
    const start = performance.now();
    await connection.close();
    expect(isAlive(pid)).toBe(false);
    expect(performance.now() - start).toBeGreaterThan(3500);
  });

  test('leaves no children behind, after a crash either', async () => {
    const ended = await connect(fakeUpstream());
    const first = await ended.call('child');
    await ended.connection.close();
    const crashed = await connect(fakeUpstream());
    const second = await crashed.call('child');
    await send(crashed.connection, 'crash');
    await crashed.closed;
    const pids = [first.pid, first.child, second.pid, second.child];
    await Promise.all(pids.map(gone));
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('is gone when the gateway exits, even by an uncaught error', async () => {
    const program = `
      const { fakeUpstream, processesOf } = await import(${JSON.stringify(fileURLToPath(new URL('stdio.ts', import.meta.url)))});
      const connection = await processesOf().start(fakeUpstream({ args: ['--stubborn'] }));
      connection.onMessage((message) => {
        process.stdout.write(JSON.stringify(message), () => { throw new Error('bug'); });
      });
      connection.send({ id: 1, method: 'tools/call', params: { name: 'child' } });
    `;
    const gateway = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    gateway.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const [code] = await once(gateway, 'close');
    expect(code).not.toBe(0);
    const { pid, child } = JSON.parse(output).result;
    await Promise.all([gone(pid), gone(child)]);
  });
});

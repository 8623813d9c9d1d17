import { spawn } from 'node:child_process';
import { GatewayError } from '../domain/errors.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Connection, UpstreamLog } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { StdioConnection } from './stdio-connection.ts';

/** The local processes of stdio upstreams. */
export interface UpstreamProcesses {
  /** Starts a process; throws `failed_precondition` for a command that the operator does not allow, `unavailable` after `close`. */
  start(upstream: Upstream): Promise<Connection>;
  /** Ends all processes in good order. */
  close(): Promise<void>;
}

export interface UpstreamProcessesDeps {
  readonly credentials: Credentials;
  /** Commands that may run, as text equal to the upstream's command (GATEWAY_STDIO_COMMANDS). */
  readonly allowedCommands: readonly string[];
  /** The gateway's own environment, of which a process inherits the little that commands need to run. */
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly log: UpstreamLog;
}

const INHERITED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'USER', 'SHELL', 'TERM'] as const;
/** Shorter values, such as `true` or a port, are no secrets, and masking them would garble texts. */
const SHORTEST_SECRET = 6;

/** Makes the starter of processes; whatever still runs is killed when the gateway exits, also by an uncaught error. */
export function createUpstreamProcesses(deps: UpstreamProcessesDeps): UpstreamProcesses {
  const { credentials, allowedCommands, hostEnv, log } = deps;
  const running = new Set<StdioConnection>();
  let isClosed = false;

  const killAll = (): void => {
    for (const connection of running) {
      connection.kill('SIGKILL');
    }
  };
  process.once('exit', killAll);

  const start = async (upstream: Upstream): Promise<Connection> => {
    const transport = stdioOf(upstream);
    if (!allowedCommands.includes(transport.command)) {
      throw notAllowed(upstream.slug, transport.command);
    }
    const configured = await credentials.envOf(upstream);
    if (isClosed) {
      throw new GatewayError('unavailable', 'The gateway is shutting down.');
    }
    const child = spawn(transport.command, transport.args, {
      cwd: transport.workingDirectory,
      env: { ...inheritedFrom(hostEnv), ...configured },
      stdio: 'pipe',
      detached: true,
      windowsHide: true,
    });
    const secrets = Object.values(configured).filter((value) => value.length >= SHORTEST_SECRET);
    const connection = new StdioConnection(child, upstream, log, secrets);
    running.add(connection);
    void connection.ended.then(() => running.delete(connection));
    return connection;
  };

  const close = async (): Promise<void> => {
    isClosed = true;
    await Promise.all([...running].map((connection) => connection.close()));
    process.removeListener('exit', killAll);
  };

  return { start, close };
}

function stdioOf(upstream: Upstream) {
  if (upstream.transport.kind !== 'stdio') {
    throw new GatewayError('internal', `The upstream "${upstream.slug}" is not a local process.`);
  }
  return upstream.transport;
}

function notAllowed(slug: string, command: string): GatewayError {
  const message =
    `The upstream "${slug}" runs the command "${command}", which is not allowed here. ` +
    'The operator allows it by adding it to GATEWAY_STDIO_COMMANDS.';
  return new GatewayError('failed_precondition', message);
}

function inheritedFrom(hostEnv: UpstreamProcessesDeps['hostEnv']): Record<string, string> {
  return Object.fromEntries(
    INHERITED.flatMap((name) => {
      const value = hostEnv[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

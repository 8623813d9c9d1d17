import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort, reachable } from '../upstream/http-clients.ts';
import { CHATTY_PROGRAM } from './support-chatty-upstream.ts';

/** An upstream over HTTP in a process of its own, which keeps its port when it is started again. */
export interface UpstreamProcess {
  readonly port: number;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
  /** Starts it once more, with other arguments if some are given; resolves when it listens. */
  start(...more: string[]): Promise<void>;
}

/** How a program is started so that it listens on a port. */
type Program = (port: number) => { readonly command: string; readonly args: readonly string[] };

/** The chatty upstream, with a URL for each era. */
export const chattyProgram: Program = (port) => ({
  command: process.execPath,
  args: [CHATTY_PROGRAM, '--port', String(port)],
});

/** The real server-everything over two-endpoint SSE. */
export const everythingOverSse: Program = () => ({ command: 'mcp-server-everything', args: ['sse'] });

/** Starts a program on a free port. */
export async function startUpstreamProcess(program: Program): Promise<UpstreamProcess> {
  const port = await freePort();
  const { command, args } = program(port);
  let child: ChildProcess | undefined;

  async function start(...more: string[]): Promise<void> {
    child = spawn(command, [...args, ...more], { env: { ...process.env, PORT: String(port) }, stdio: 'ignore' });
    await reachable(port);
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running !== undefined) {
      running.kill('SIGKILL');
      await once(running, 'exit');
    }
  }

  await start();
  return { port, start, kill };
}

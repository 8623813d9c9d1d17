import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Upstream } from '../../src/domain/upstream.ts';
import { serveTcp, upstreamOf } from '../upstream/fixtures.ts';
import { type Command, type Json, PLAIN_SCRIPT, SCRIPTED_PROGRAM, type Script } from './scripted-upstream.ts';

/** A message that a process of the upstream got. */
export interface Got {
  readonly pid: number;
  readonly message: Json & { readonly method?: string };
}

/** A stdio upstream that does what a test tells it. */
export interface SteeredUpstream {
  readonly upstream: Upstream;
  /** What its processes got, oldest first. */
  readonly got: readonly Got[];
  /** How many messages of this method they got. */
  count(method: string): Promise<number>;
  /** The same without asking them what they got last. */
  counted(method: string): number;
  /** Is like this from now on; resolves when the processes know. */
  set(changes: Partial<Script>): Promise<void>;
  /** Says that a list was changed, so many times. */
  changed(list: string, times?: number): Promise<void>;
  endListens(): Promise<void>;
  /** Ends the processes at once. */
  crash(): void;
  /** Its running processes. */
  running(): number;
  stop(): Promise<void>;
}

/** Makes one; its processes are started by whoever talks to it. */
export async function steeredUpstream(
  changes: Partial<Script> = {},
  settings: Partial<Upstream> = {},
): Promise<SteeredUpstream> {
  let script = { ...PLAIN_SCRIPT, ...changes };
  const got: Got[] = [];
  const running = new Map<Socket, (() => void)[]>();
  const order = (socket: Socket, command: Command) =>
    new Promise<void>((resolve) => {
      running.get(socket)?.push(resolve);
      socket.write(`${JSON.stringify(command)}\n`);
    });
  const orderAll = async (command: Command) => {
    await Promise.all([...running.keys()].map((socket) => order(socket, command)));
  };
  const steering = await serveTcp((socket) => {
    running.set(socket, []);
    socket.on('close', () => {
      const waiting = running.get(socket) ?? [];
      running.delete(socket);
      for (const resolve of waiting) resolve();
    });
    const lines = createInterface({ input: socket }).on('error', () => undefined);
    lines.on('line', (line) => {
      const said = JSON.parse(line) as Got | 'done';
      if (said === 'done') running.get(socket)?.shift()?.();
      else got.push(said);
    });
    void order(socket, { do: 'script', script });
  });
  const args = [SCRIPTED_PROGRAM, String(steering.port)];
  const upstream = upstreamOf(
    {
      kind: 'stdio',
      command: process.execPath,
      args,
      sharing: 'per_principal',
      maxProcesses: 8,
      idleTimeoutMs: 60_000,
    },
    { era: script.era === 'modern' ? 'modern' : 'legacy', ...settings },
  );
  const counted = (method: string) => got.filter(({ message }) => message.method === method).length;
  return {
    upstream,
    got,
    counted,
    async count(method) {
      await orderAll({ do: 'script', script });
      return counted(method);
    },
    async set(next) {
      script = { ...script, ...next };
      await orderAll({ do: 'script', script });
    },
    changed: (list, times = 1) => orderAll({ do: 'changed', list, times }),
    endListens: () => orderAll({ do: 'endListens' }),
    crash: () => void orderAll({ do: 'crash' }),
    running: () => running.size,
    stop: steering.stop,
  };
}

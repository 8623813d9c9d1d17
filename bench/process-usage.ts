import { readdirSync, readFileSync } from 'node:fs';

/** The kernel's clock ticks a second (`getconf CLK_TCK`), 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly parent: number;
  readonly ownTicks: number;
  readonly reapedTicks: number;
}

/** Fields of /proc/PID/stat (proc(5)): ppid, utime + stime, cutime + cstime; undefined when the process is gone. */
function findTimes(pid: number): ProcessTimes | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const field = (number: number) => fields[number - 3] ?? Number.NaN;
  return { parent: field(4), ownTicks: field(14) + field(15), reapedTicks: field(16) + field(17) };
}

/** CPU seconds of a process so far, all its threads, and on demand those of its children that have ended. */
export function cpuSecondsOf(pid: number, options: { readonly withReaped?: boolean } = {}): number {
  const times = findTimes(pid);
  if (times === undefined) throw new Error(`process ${pid} is gone`);
  return (times.ownTicks + (options.withReaped ? times.reapedTicks : 0)) / TICKS_PER_SECOND;
}

/** CPU seconds of a process, its children, and the children it has already reaped: a PostgreSQL postmaster with its backends. */
export function cpuSecondsOfFamily(pid: number): number {
  const own = findTimes(pid);
  if (own === undefined) throw new Error(`process ${pid} is gone`);
  let ticks = own.ownTicks + own.reapedTicks;
  for (const name of readdirSync('/proc')) {
    const child = /^\d+$/.test(name) ? findTimes(Number(name)) : undefined;
    if (child?.parent === pid) ticks += child.ownTicks + child.reapedTicks;
  }
  return ticks / TICKS_PER_SECOND;
}

/** Resident memory of a process in bytes, now and at its highest (proc(5), VmRSS and VmHWM). */
export function residentBytesOf(pid: number): { readonly now: number; readonly peak: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
  return { now: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 };
}

/** Seconds a core was busy since boot, by /proc/stat. */
export function busySecondsOfCore(core: 0 | 1): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1];
  if (line === undefined) throw new Error(`this machine has no core ${core}: the benchmark needs two`);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

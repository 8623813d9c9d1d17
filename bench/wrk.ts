import { runChild } from './child-process.ts';

/** What wrk saw; times in microseconds, closed loop. */
export interface WrkResult {
  /** Answers with a result and without `isError`. */
  readonly answered: number;
  readonly refused: number;
  readonly socketErrors: number;
  readonly durationMicros: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Status and beginning of the first refused answer. */
  readonly sample: string;
}

const script = new URL('wrk/tool-call.lua', import.meta.url).pathname;

/** Loads a server with as many calls as it answers over `connections` connections; `answer` is what a good answer holds. Throws when none was answered. */
export async function runWrk(
  port: number,
  requestFile: string,
  connections: number,
  seconds: number,
  answer = '"result":',
): Promise<WrkResult> {
  const output = await runChild({
    command: ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, `http://127.0.0.1:${port}`],
    env: { BENCH_REQUESTS: requestFile, BENCH_ANSWER: answer },
  });
  const result = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as WrkResult;
  if (result.answered === 0) throw new Error(`no call was answered: ${result.sample || output}`);
  return result;
}

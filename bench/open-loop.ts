import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { HttpConnection } from './http-connection.ts';
import { percentileOf } from './statistics.ts';

/** What the generator is told, as JSON in its first argument. */
export interface OpenLoopOptions {
  readonly port: number;
  readonly requestFile: string;
  /** Calls a second. */
  readonly rate: number;
  readonly seconds: number;
  /** What a good answer holds, where it is no JSON-RPC result. */
  readonly answer?: string | undefined;
}

/** Latencies in milliseconds from the intended send time to the last byte of the answer. */
export interface OpenLoopResult {
  readonly answered: number;
  readonly refused: number;
  readonly lost: number;
  /** All answers, those before the clock started included. */
  readonly received: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Median and 99th percentile of how late the generator itself sent, contained in the latencies. */
  readonly lateP50: number;
  readonly lateP99: number;
  /** Every latency, ascending, so that rounds can be pooled. */
  readonly samples: readonly number[];
  /** The first answer that was not a result. */
  readonly sample: string;
}

const FIRST_CONNECTIONS = 16;
const MOST_CONNECTIONS = 512;
/** How long answers may take after the last request was sent, in milliseconds. */
const GRACE = 3_000;

const now = () => performance.timeOrigin + performance.now();

function isResult(answer: string, good = '"result":'): boolean {
  return answer.startsWith('HTTP/1.1 200') && answer.includes(good) && !answer.includes('"isError":true');
}

/** Sends at a fixed rate whatever the answers do; a late send or a full pool counts into the latency. */
class OpenLoop {
  readonly #options: OpenLoopOptions;
  readonly #requests: readonly Buffer[];
  readonly #idle: HttpConnection[] = [];
  readonly #all = new Set<HttpConnection>();
  readonly #waiting: number[] = [];
  readonly #latencies: number[] = [];
  readonly #lateness: number[] = [];
  readonly #total: number;
  readonly #interval: number;
  #start = 0;
  #sent = 0;
  #refused = 0;
  #lost = 0;
  #sample = '';
  #warmCalls = 0;
  #finish: () => void = () => {};

  constructor(options: OpenLoopOptions) {
    this.#options = options;
    this.#requests = readFileSync(options.requestFile, 'latin1')
      .split('\0')
      .map((text) => Buffer.from(text, 'latin1'));
    this.#total = Math.round(options.rate * options.seconds);
    this.#interval = 1000 / options.rate;
  }

  async run(): Promise<OpenLoopResult> {
    await this.#warm();
    this.#start = now() + 100;
    const workerData = { startMillis: this.#start, intervalMillis: this.#interval, total: this.#total };
    const clock = new Worker(new URL('open-loop-clock.ts', import.meta.url), { workerData });
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    clock.on('message', () => this.#sendDue());
    const late = setTimeout(() => this.#finish(), this.#options.seconds * 1000 + GRACE);
    await finished;
    clearTimeout(late);
    await clock.terminate();
    for (const connection of this.#all) connection.close();
    return this.#result();
  }

  /** Opens the connections and lets the generator's own code become hot, at a fifth of the rate's calls, at least 50. */
  async #warm(): Promise<void> {
    for (let i = 0; i < FIRST_CONNECTIONS; i++) this.#idle.push(this.#connect());
    const each = Math.ceil(Math.max(50, this.#options.rate / 5) / FIRST_CONNECTIONS);
    this.#warmCalls = each * FIRST_CONNECTIONS;
    const answer = (connection: HttpConnection, request: Buffer) =>
      new Promise<void>((resolve) => connection.send(request, () => resolve()));
    await Promise.all(
      this.#idle.map(async (connection) => {
        for (let i = 0; i < each; i++) await answer(connection, this.#requests[i % this.#requests.length] as Buffer);
      }),
    );
  }

  #connect(): HttpConnection {
    const connection: HttpConnection = new HttpConnection(this.#options.port, (wasBusy) => {
      this.#all.delete(connection);
      const index = this.#idle.indexOf(connection);
      if (index >= 0) this.#idle.splice(index, 1);
      if (wasBusy) this.#lose();
    });
    this.#all.add(connection);
    return connection;
  }

  #sendDue(): void {
    const due = Math.min(this.#total, Math.floor((now() - this.#start) / this.#interval) + 1);
    while (this.#sent < due) {
      const index = this.#sent++;
      const connection = this.#idle.shift() ?? (this.#all.size < MOST_CONNECTIONS ? this.#connect() : undefined);
      if (connection === undefined) this.#waiting.push(index);
      else this.#send(connection, index);
    }
  }

  #send(connection: HttpConnection, index: number): void {
    const intended = this.#start + index * this.#interval;
    this.#lateness.push(now() - intended);
    connection.send(this.#requests[index % this.#requests.length] as Buffer, (answer) => {
      this.#latencies.push(now() - intended);
      if (!isResult(answer, this.#options.answer)) this.#refuse(answer);
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(connection);
      else this.#send(connection, next);
      this.#finishWhenDone();
    });
  }

  #refuse(answer: string): void {
    this.#refused += 1;
    this.#sample ||= answer.slice(0, 600);
  }

  #lose(): void {
    this.#lost += 1;
    this.#finishWhenDone();
  }

  #finishWhenDone(): void {
    if (this.#latencies.length + this.#lost >= this.#total) this.#finish();
  }

  #result(): OpenLoopResult {
    const samples = Float64Array.from(this.#latencies).sort();
    const lateness = Float64Array.from(this.#lateness).sort();
    return {
      answered: samples.length - this.#refused,
      refused: this.#refused,
      lost: this.#total - samples.length,
      received: samples.length + this.#warmCalls,
      p50: percentileOf(samples, 0.5),
      p90: percentileOf(samples, 0.9),
      p99: percentileOf(samples, 0.99),
      p999: percentileOf(samples, 0.999),
      max: percentileOf(samples, 1),
      lateP50: percentileOf(lateness, 0.5),
      lateP99: percentileOf(lateness, 0.99),
      samples: Array.from(samples, (value) => Math.round(value * 1000) / 1000),
      sample: this.#sample,
    };
  }
}

const result = await new OpenLoop(JSON.parse(process.argv[2] ?? '') as OpenLoopOptions).run();
process.stdout.write(`${JSON.stringify(result)}\n`);

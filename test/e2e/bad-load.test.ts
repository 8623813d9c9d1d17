import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, send, sendBytes, sendHttp2 } from './bad-http-client.ts';
import {
  type BadInputInstallation,
  GOOD_ANSWER,
  GOOD_CALL,
  mcpHeaders,
  startBadInputInstallation,
} from './bad-installation.ts';

let installation: BadInputInstallation;
let port: number;
let key: string;

beforeAll(async () => {
  installation = await startBadInputInstallation();
  port = installation.gateway.port;
  key = installation.gateway.apiKey;
});

afterAll(() => installation?.stop());

const path = '/v1/mcp/plain';
const nearLimit = `${GOOD_CALL.slice(0, -1)}${' '.repeat(1_000_000)}`;
const deep = '['.repeat(10_000);

/** One bad request of each kind; `n` makes its text another each time, so that a cache of any kind would grow. */
const kinds: readonly ((n: number) => Promise<unknown>)[] = [
  (n) => post(GOOD_CALL, { authorization: `Bearer nobody-${n}` }),
  (n) => post(GOOD_CALL, {}, `/v1/mcp/no-such-${n}`),
  (n) => post(`{"jsonrpc":"2.0","id":"${n}",`),
  () => post(nearLimit),
  () => post('x'.repeat(1_100_000)),
  (n) => post(`[{"id":${n}}]`),
  (n) => post(`{"jsonrpc":"2.0","id":null,"method":"m${n}"}`),
  () => post(deep),
  (n) => post(GOOD_CALL, { 'content-type': `text/x-${n}` }),
  (n) => post(GOOD_CALL, { accept: `text/x-${n}` }),
  (n) => post(GOOD_CALL, { 'mcp-session-id': `${n}.${'s'.repeat(5000)}` }),
  (n) => post(GOOD_CALL, { 'mcp-protocol-version': `1999-${n}` }),
  (n) => post(GOOD_CALL, { host: `host-${n}.example` }),
  (n) => post(GOOD_CALL, { origin: `https://origin-${n}.example` }),
  (n) => post(`{"jsonrpc":"2.0","id":${n},"method":"no/such/${n}"}`),
  (n) =>
    sendBytes(port, `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked${n}\r\n\r\n`),
  (n) => sendBytes(port, `P${n}\r\n\r\n`),
  (n) => sendHttp2(port, { path, headers: mcpHeaders(`nobody-${n}`), body: GOOD_CALL }),
  (n) => sendHttp2(port, { path, headers: mcpHeaders(key), body: `{"jsonrpc":"2.0","id":${n}.5}` }),
  (n) => send(port, { path: `/portcullis.v1.Nothing${n}/Get`, headers: mcpHeaders(key), body: '{' }),
];

function post(body: string, headers: Record<string, string> = {}, to = path): Promise<Answer> {
  return send(port, { path: to, headers: mcpHeaders(key, headers), body });
}

/** Sends so many bad requests, all kinds in turn, ten at a time; a connection that the gateway cuts is an answer too. */
async function sendBadRequests(first: number, count: number): Promise<void> {
  let next = first;
  const sendSome = async () => {
    while (next < first + count) {
      const n = next++;
      await kinds[n % kinds.length]?.(n).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: 10 }, sendSome));
}

function megabytesOf(pid: number | undefined): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

test('[MS-NO-MEMORY-KEPT] 2,000 bad requests leave the memory and the open files as they were', async () => {
  const { pid } = installation.gateway.process;
  await sendBadRequests(0, 1_000);
  const memory = megabytesOf(pid);
  const files = readdirSync(`/proc/${pid}/fd`).length;
  await sendBadRequests(1_000, 2_000);
  // Kept bodies alone would be 200 MB, kept session ids 0.5 MB; the collector may be a few tens of megabytes behind.
  expect(megabytesOf(pid) - memory).toBeLessThan(60);
  expect(readdirSync(`/proc/${pid}/fd`).length - files).toBeLessThan(30);
  expect((await post(GOOD_CALL)).text).toBe(GOOD_ANSWER);
}, 60_000);

test('[MS-STAYS-UP] what was refused is no error of the gateway’s own in the log', () => {
  expect(installation.gateway.output()).not.toContain('"level":50');
  expect(installation.gateway.output()).not.toContain(key);
});

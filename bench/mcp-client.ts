import { Pool } from 'undici';
import { type Destination, eraHeaders, toolCallBody } from './requests.ts';

/** An HTTP answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** What is sent outside the measured part: opening sessions, first calls, counts. */
export interface McpClient {
  /** Opens a legacy session and completes its handshake; throws when the target refuses. */
  openSession(to: Destination): Promise<string>;
  /** One legacy `tools/call`; throws unless the answer holds a result. */
  callTool(to: Destination, body: string): Promise<void>;
  get(path: string): Promise<Answer>;
  close(): Promise<void>;
}

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'portcullis-bench', version: '1.0.0' },
  },
});
const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

/** The body of a legacy `tools/call` of the bench upstream's tool. */
export const LEGACY_CALL = toolCallBody('legacy', 1);

/** Makes a client of one server on this machine with at most `connections` connections. */
export function createMcpClient(port: number, connections = 16): McpClient {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections });

  async function post(to: Destination, body: string): Promise<Answer> {
    const headers = { ...eraHeaders('legacy', '', undefined, to.sessionId), Authorization: `Bearer ${to.apiKey}` };
    const {
      statusCode,
      headers: answered,
      body: stream,
    } = await pool.request({ path: to.path, method: 'POST', headers, body });
    return { status: statusCode, headers: answered, text: await stream.text() };
  }

  return {
    async openSession(to) {
      const opened = await post(to, INITIALIZE);
      const sessionId = opened.headers['mcp-session-id'];
      if (typeof sessionId !== 'string') throw new Error(`no session at ${to.path}: ${opened.status} ${opened.text}`);
      const ready = await post({ ...to, sessionId }, INITIALIZED);
      if (ready.status !== 202)
        throw new Error(`notifications/initialized at ${to.path}: ${ready.status} ${ready.text}`);
      return sessionId;
    },
    async callTool(to, body) {
      const { status, text } = await post(to, body);
      if (status !== 200 || !text.includes('"result":')) throw new Error(`tools/call at ${to.path}: ${status} ${text}`);
    },
    async get(path) {
      const { statusCode, headers, body } = await pool.request({ path, method: 'GET' });
      return { status: statusCode, headers, text: await body.text() };
    },
    close: () => pool.close(),
  };
}

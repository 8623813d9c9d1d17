import { type IncomingHttpHeaders, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';

/** One HTTP request, written as the test wants it; nothing is added but Host and the length. */
export interface BadRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Over HTTP/2: the body never ends. */
  readonly keepsOpen?: boolean;
}

/** A whole HTTP answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request over HTTP/1.1 on a connection of its own. */
export function send(port: number, { method = 'POST', path, headers = {}, body }: BadRequest): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('end', () =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() }),
    );
    response.on('error', reject);
  });
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

/** Sends a request over HTTP/2 with prior knowledge on a connection of its own. */
export function sendHttp2(port: number, badRequest: BadRequest): Promise<Answer> {
  const { method = 'POST', path, headers = {}, body, keepsOpen = false } = badRequest;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':method': method, ':path': path, ...headers });
  const chunks: Buffer[] = [];
  let status = 0;
  let received: IncomingHttpHeaders = {};
  session.on('error', reject);
  stream.on('error', reject);
  stream.on('response', ({ ':status': code, ...rest }) => {
    status = code ?? 0;
    received = rest;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('close', () => resolve({ status, headers: received, text: Buffer.concat(chunks).toString() }));
  if (keepsOpen) {
    stream.on('end', () => stream.close());
    stream.write(body ?? '');
  } else {
    stream.end(body);
  }
  return promise.finally(() => session.destroy());
}

/** Opens a bare TCP connection. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Writes bytes to a fresh connection and resolves with everything that came until the gateway closed it. */
export async function sendBytes(port: number, bytes: string | Buffer): Promise<string> {
  const socket = await openSocket(port);
  socket.write(bytes);
  return readToEnd(socket);
}

/** Everything that comes on a connection until the other side closes it. */
export function readToEnd(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('close', () => resolve(text));
  return promise;
}

/** The edge refusal in an answer: `code` and `message` of `{"error":{…}}`. */
export function refusalOf({ text }: Pick<Answer, 'text'>): { code: string; message: string; request_id: string } {
  return JSON.parse(text).error;
}

/** A stdio upstream that answers every request with the line it came in, for tests of what really arrives. */
import { createInterface } from 'node:readline';

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const { protocolVersion } = params ?? {};
  const initialized = { protocolVersion, capabilities: {}, serverInfo: { name: 'raw', version: '1' } };
  if (id !== undefined) {
    const result = method === 'initialize' ? initialized : { line };
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n`);
  }
});

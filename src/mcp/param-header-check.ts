import type { IncomingHttpHeaders } from 'node:http';
import { argumentAt, mirroredArguments } from '../upstream/param-headers.ts';
import { decodeHeaderValue } from './envelope.ts';

/**
 * What is wrong with the `Mcp-Param-*` headers of a tool call: each must repeat the argument that the tool's schema marks with
 * `x-mcp-header`, and be there when the argument is; undefined = nothing (specification 2026-07-28, basic/transports/streamable-http,
 * section Server Behavior for Custom Headers).
 */
export function findParamMismatch(
  headers: IncomingHttpHeaders,
  inputSchema: unknown,
  callArguments: unknown,
): string | undefined {
  const wrong = mirroredArguments(inputSchema).find(
    (argument) => !isRepeated(headers[argument.header], argumentAt(callArguments, argument)),
  );
  return wrong && `the header '${wrong.header}' does not match the argument '${wrong.path.join('.')}' in the body`;
}

function isRepeated(header: string | string[] | undefined, value: unknown): boolean {
  if (value === undefined || value === null) {
    return header === undefined;
  }
  const decoded = typeof header === 'string' ? decodeHeaderValue(header) : undefined;
  switch (typeof value) {
    case 'string':
      return decoded === value;
    case 'number':
      // Numbers are compared as such: 42.0 is 42.
      return decoded !== undefined && decoded.trim() !== '' && Number(decoded) === value;
    case 'boolean':
      return decoded === String(value);
    default:
      // Only what is primitive is repeated.
      return header === undefined;
  }
}

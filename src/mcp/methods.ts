import { nameFields } from './envelope.ts';
import type { RpcError } from './errors.ts';
import type { ClientMessage } from './json-rpc.ts';
import { UNGOVERNED_METHODS } from './known-methods.ts';

/** Every other request is decided and recorded, also one that no revision knows, so that nothing slips past the policy. */
const ungoverned: ReadonlySet<string> = new Set(UNGOVERNED_METHODS);

/** True for a request that needs a Decision. */
export function isGoverned(message: ClientMessage): boolean {
  return message.kind === 'request' && !ungoverned.has(message.method);
}

/** Longest name and URI, in UTF-16 code units; they are recorded, and names of MCP have at most 128. */
const MAX_NAME = { name: 512, uri: 4096 };

/** What a governed request acts on: a tool's or prompt's name, or a resource's URI. `missing` = the method needs one and there is none, or it is too long. */
export function targetOf(message: ClientMessage): { tool: string | undefined; missing?: 'name' | 'uri' } {
  const field = nameFields.get(message.method);
  if (field === undefined) {
    return { tool: undefined };
  }
  const tool = message.params?.[field];
  return typeof tool === 'string' && tool !== '' && tool.length <= MAX_NAME[field]
    ? { tool }
    : { tool: undefined, missing: field };
}

/** The error for a request without what it acts on. */
export function missingParam(field: 'name' | 'uri'): RpcError {
  return { code: -32602, message: `'params.${field}' must be a string of usual length` };
}

import { createHash } from 'node:crypto';
import { sorted } from '../../upstream/channel-key.ts';
import { paramsOf } from '../../upstream/message.ts';
import { InvalidMessageError } from '../json-rpc.ts';
import type { BridgeRequest } from './bridge-request.ts';
import type { RoundToken } from './tokens.ts';

/** What a `requestState` is good for: one principal's repetition of one request. */
export interface Binding {
  readonly principalId: string;
  /** Digest of what was requested, of whom. */
  readonly request: string;
}

/** What a request of a modern client is bound to (specification 2026-07-28, basic/patterns/mrtr, Server Requirements). */
export function bindingOf({ post, upstream, message }: BridgeRequest): Binding {
  const { _meta, requestState: _state, inputResponses: _responses, ...params } = paramsOf(message);
  const asked = [post.target.id, upstream.id, message['method'], params];
  // Through JSON once more, so that numbers are the same whether they were read exactly or not.
  const text = JSON.stringify(sorted(JSON.parse(JSON.stringify(asked))));
  return { principalId: post.principal.id, request: createHash('sha256').update(text).digest('base64url') };
}

/** Throws InvalidMessageError when the state was given for another request, to another principal, or has lapsed. */
export function checkState(state: RoundToken, binding: Binding, now: number): void {
  if (state.expireTime <= now) {
    throw lapsed();
  }
  if (state.principalId !== binding.principalId || state.request !== binding.request) {
    throw new InvalidMessageError(-32602, `'params.requestState' belongs to another call: repeat this one without it`);
  }
}

/** The error for a call that does not wait any more. */
export function lapsed(): InvalidMessageError {
  return new InvalidMessageError(-32602, `'params.requestState' has lapsed: repeat the call without it`);
}

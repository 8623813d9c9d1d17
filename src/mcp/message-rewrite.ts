import type { ClientMessage, JsonObject } from './json-rpc.ts';
import { findValue, withMembers } from './json-text.ts';

/**
 * A request with some parameters replaced or added; all else stays as the client wrote it, its numbers included. `texts` holds the JSON
 * of those whose parsed value may have lost digits.
 */
export function withParams(
  message: ClientMessage,
  changes: JsonObject,
  texts: ReadonlyMap<string, string> = noTexts,
): ClientMessage {
  const members = new Map<string, string>();
  for (const name in changes) {
    members.set(name, texts.get(name) ?? JSON.stringify(changes[name]));
  }
  const from = findValue(message.text, 0, 'params');
  const text =
    from === undefined
      ? withMembers(message.text, 0, new Map([['params', withMembers('{}', 0, members)]]))
      : withMembers(message.text, from, members);
  const params = { ...message.params, ...changes };
  return { ...message, params, value: { ...message.value, params }, text };
}

const noTexts: ReadonlyMap<string, string> = new Map();

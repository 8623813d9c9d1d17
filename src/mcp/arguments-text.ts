import { endOfValue, findValue } from './json-text.ts';

/**
 * The text of `params.arguments` as the client wrote it, in a JSON-RPC message that was parsed before; undefined when there is none.
 * It stays the same when the same call is sent again, unlike the id and what else may stand in the message.
 */
export function argumentsText(message: string): string | undefined {
  const params = findValue(message, 0, 'params');
  const start = params === undefined ? undefined : findValue(message, params, 'arguments');
  return start === undefined ? undefined : message.slice(start, endOfValue(message, start));
}

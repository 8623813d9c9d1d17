import { SUBSCRIPTION_KEY } from '../../upstream/in-flight.ts';
import { CAPABILITIES_KEY, VERSION_KEY } from '../envelope.ts';

/** Keys of `_meta` that a modern request may carry besides its version and capabilities (specification 2026-07-28, basic, section _meta). */
export const CLIENT_INFO_KEY = 'io.modelcontextprotocol/clientInfo';
export const LOG_LEVEL_KEY = 'io.modelcontextprotocol/logLevel';

/** All keys of `_meta` that the modern era gave a meaning; a legacy upstream knows none of them. */
export const MODERN_KEYS: ReadonlySet<string> = new Set([
  VERSION_KEY,
  CAPABILITIES_KEY,
  CLIENT_INFO_KEY,
  LOG_LEVEL_KEY,
  SUBSCRIPTION_KEY,
]);

import { createRequire } from 'node:module';
import type * as undici from 'undici';

// One by one: the package's index also loads fetch, WebSocket and caches, 10 MB of memory that nothing here uses.
const require = createRequire(import.meta.url);

/** undici's connection to one origin. */
export const Client: typeof undici.Client = require('undici/lib/dispatcher/client.js');
/** undici's pool of connections to one origin. */
export const Pool: typeof undici.Pool = require('undici/lib/dispatcher/pool.js');
/** undici's maker of functions that open connections. */
export const buildConnector: typeof undici.buildConnector = require('undici/lib/core/connect.js');
/** undici's error classes. */
export const errors: typeof undici.errors = require('undici/lib/core/errors.js');

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { createGate } from './gate.ts';

/** Hashes and checks passwords off the event loop, a few at a time: each takes 32 MiB and some 80 ms. */
export interface Passwords {
  /** `scrypt$N$r$p$salt$hash` with base64url parts. */
  hash(password: string): Promise<string>;
  /** Compares in constant time; without a stored hash (unknown user) it takes as long and is false. */
  verify(password: string, storedHash: string | undefined): Promise<boolean>;
}

interface Parameters {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
}

interface StoredHash extends Parameters {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const PARAMETERS: Parameters = { cost: 32_768, blockSize: 8, parallelization: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;

/** Stands in for the hash of a user that does not exist; no password has it. */
const NOBODY: StoredHash = { ...PARAMETERS, salt: Buffer.alloc(SALT_BYTES), hash: Buffer.alloc(HASH_BYTES) };

/** Makes the one place where passwords are hashed; scrypt runs on libuv's threads, so two at once leave threads for files. */
export function createPasswords(): Passwords {
  const gate = createGate({ maxRunning: 2, maxWaiting: 200 });
  const derive = (password: string, salt: Buffer, parameters: Parameters) =>
    gate.run(() => deriveKey(password, salt, parameters));

  return {
    async hash(password) {
      const salt = randomBytes(SALT_BYTES);
      const hash = await derive(password, salt, PARAMETERS);
      const { cost, blockSize, parallelization } = PARAMETERS;
      return ['scrypt', cost, blockSize, parallelization, salt.toString('base64url'), hash.toString('base64url')].join(
        '$',
      );
    },
    async verify(password, storedHash) {
      const stored = storedHash === undefined ? NOBODY : parseHash(storedHash);
      const hash = await derive(password, stored.salt, stored);
      return timingSafeEqual(hash, stored.hash) && storedHash !== undefined;
    },
  };
}

function parseHash(text: string): StoredHash {
  const [name, cost, blockSize, parallelization, salt = '', hash = ''] = text.split('$');
  const stored = {
    cost: Number(cost),
    blockSize: Number(blockSize),
    parallelization: Number(parallelization),
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  };
  if (name !== 'scrypt' || stored.hash.length !== HASH_BYTES) {
    throw new Error('the stored password hash is not one of scrypt');
  }
  return stored;
}

/** RFC 7914; the text is normalised so that every keyboard's `é` is the same. */
function deriveKey(password: string, salt: Buffer, parameters: Parameters): Promise<Buffer> {
  const options = { ...parameters, maxmem: MAX_MEMORY_BYTES };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, options, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}

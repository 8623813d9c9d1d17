import { createHash, webcrypto } from 'node:crypto';
import { CompactEncrypt, type CompactJWEHeaderParameters, compactDecrypt, decodeProtectedHeader } from 'jose';
import { GatewayError } from '../domain/errors.ts';
import type { Secret } from './secret.ts';

/**
 * Encrypts texts with keys derived from the configured secret key, one derived key per purpose, so that what was sealed for one purpose
 * cannot be passed off as another's. Purposes are constants: the key of each is derived once and kept.
 */
export interface SecretBox {
  /** Compact JWE (`dir`, A256GCM; RFC 7516) with the id of the secret key in its header. */
  seal(purpose: string, text: string): Promise<string>;
  /** The text; throws `internal` when it was changed, or sealed for another purpose or with a key that is no longer configured. */
  open(purpose: string, sealed: string): Promise<string>;
  /** False when the text was sealed with a previous key, so that it should be sealed again. */
  isCurrent(sealed: string): boolean;
}

type DerivedKey = webcrypto.CryptoKey;

/** One configured key: its public id, and a way to derive from it. */
interface RootKey {
  readonly id: string;
  derive(purpose: string): Promise<DerivedKey>;
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();
const DECRYPT_OPTIONS = {
  keyManagementAlgorithms: ['dir'],
  contentEncryptionAlgorithms: ['A256GCM'],
  maxDecompressedLength: 0,
};

/** Makes a box that seals with `secretKey` and opens what that key or one of `previousKeys` sealed. */
export function createSecretBox(secretKey: Secret, previousKeys: readonly Secret[] = []): SecretBox {
  const current = createRootKey(secretKey);
  const keys = new Map([...previousKeys.map(createRootKey), current].map((key) => [key.id, key]));

  const keyFor = (purpose: string) => (header: CompactJWEHeaderParameters) => {
    const key = keys.get(header.kid ?? '');
    if (key === undefined) {
      throw new Error('sealed with a key that is not configured');
    }
    return key.derive(purpose);
  };

  return {
    async seal(purpose, text) {
      const header = { alg: 'dir', enc: 'A256GCM', kid: current.id };
      const key = await current.derive(purpose);
      return await new CompactEncrypt(ENCODER.encode(text)).setProtectedHeader(header).encrypt(key);
    },
    async open(purpose, sealed) {
      try {
        const { plaintext } = await compactDecrypt(sealed, keyFor(purpose), DECRYPT_OPTIONS);
        return DECODER.decode(plaintext);
      } catch (cause) {
        const message =
          'A sealed text cannot be opened: it was changed, or its key is not in GATEWAY_PREVIOUS_SECRET_KEYS.';
        throw new GatewayError('internal', message, { cause });
      }
    },
    isCurrent: (sealed) => decodeProtectedHeader(sealed).kid === current.id,
  };
}

function createRootKey(secret: Secret): RootKey {
  const bytes = ENCODER.encode(secret.reveal());
  const imported = webcrypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey']);
  // Derivation is awaited at first use; until then a rejection must not end the process.
  imported.catch(() => {});
  const derived = new Map<string, Promise<DerivedKey>>();
  const derive = async (purpose: string): Promise<DerivedKey> => {
    // RFC 5869: `info` separates the purposes; the key is random, so no salt is needed.
    const parameters = {
      name: 'HKDF',
      hash: 'SHA-256',
      salt: new Uint8Array(),
      info: ENCODER.encode(`portcullis ${purpose}`),
    };
    const target = { name: 'AES-GCM', length: 256 };
    return await webcrypto.subtle.deriveKey(parameters, await imported, target, false, ['encrypt', 'decrypt']);
  };
  return {
    id: createHash('sha256').update('portcullis key id\0').update(bytes).digest('base64url').slice(0, 11),
    derive(purpose) {
      const known = derived.get(purpose) ?? derive(purpose);
      derived.set(purpose, known);
      return known;
    },
  };
}

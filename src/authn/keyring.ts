import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import type { SecretBox } from '../config/secret-box.ts';
import { lockConfig, withChanges } from '../db/config-changes.ts';
import { insertSigningKey, listSigningKeys, resealSigningKey, type SigningKeyRecord } from '../db/signing-keys.ts';
import type { Store } from '../db/store.ts';
import { GatewayError } from '../domain/errors.ts';

/** The algorithm of access tokens: ECDSA with P-256 (RFC 7518 section 3.4). */
export const ALGORITHM = 'ES256';

/** A JWK Set (RFC 7517 section 5) of public keys. */
interface JwkSet {
  readonly keys: readonly JWK[];
}

type Key = Awaited<ReturnType<typeof importJWK>>;

/** The keys that sign access tokens and check them, the same on every replica. */
export interface Keyring {
  readonly kid: string;
  readonly privateKey: Key;
  /** The public key a token names; undefined when it is unknown, or retired. */
  findPublicKey(kid: string): Promise<Key | undefined>;
  /** What is served at `/.well-known/jwks.json`. */
  jwks(): JwkSet;
}

/** Where the keys are, what opens them, and the time in Unix milliseconds. */
export interface KeyringDeps {
  readonly store: Store;
  readonly secretBox: SecretBox;
  readonly now: () => number;
}

interface PublicKey {
  readonly jwk: JWK;
  readonly key: Key;
  readonly retireTime: number;
}

/** What the private keys are sealed for. */
const PURPOSE = 'signing-key';

/** How long an unknown key id is not looked up again, in milliseconds: ids come from strangers. */
const RELOAD_INTERVAL_MS = 1000;

/**
 * Opens the installation's keyring; the first replica makes the key, the others wait for it. Throws `failed_precondition` when the key
 * was sealed with a secret key that is not configured.
 */
export async function openKeyring({ store, secretBox, now }: KeyringDeps): Promise<Keyring> {
  const active = (await findActiveKey(store.db)) ?? (await createSigningKey({ store, secretBox, now }));
  const privateKey = await openPrivateKey({ store, secretBox }, active);
  let publicKeys = await loadPublicKeys(store.db);
  let loadTime = now();

  return {
    kid: active.kid,
    privateKey,
    async findPublicKey(kid) {
      if (!publicKeys.has(kid) && now() - loadTime >= RELOAD_INTERVAL_MS) {
        loadTime = now();
        publicKeys = await loadPublicKeys(store.db);
      }
      const found = publicKeys.get(kid);
      return found !== undefined && found.retireTime > now() ? found.key : undefined;
    },
    jwks: () => ({
      keys: [...publicKeys.values()].filter(({ retireTime }) => retireTime > now()).map(({ jwk }) => jwk),
    }),
  };
}

async function findActiveKey(db: Store['db']): Promise<SigningKeyRecord | undefined> {
  return (await listSigningKeys(db)).find((key) => key.retireTime === undefined && key.algorithm === ALGORITHM);
}

async function loadPublicKeys(db: Store['db']): Promise<Map<string, PublicKey>> {
  const records = (await listSigningKeys(db)).filter((record) => record.algorithm === ALGORITHM);
  const load = async ({ kid, publicJwk, retireTime }: SigningKeyRecord): Promise<[string, PublicKey]> => {
    const jwk = JSON.parse(publicJwk) as JWK; // written by createSigningKey
    return [kid, { jwk, key: await importJWK(jwk, ALGORITHM), retireTime: retireTime ?? Number.POSITIVE_INFINITY }];
  };
  return new Map(await Promise.all(records.map(load)));
}

async function createSigningKey({ store, secretBox, now }: KeyringDeps): Promise<SigningKeyRecord> {
  const draft = await draftSigningKey(secretBox, now());
  return withChanges(store, async (trx, changed) => {
    await lockConfig(trx);
    const other = await findActiveKey(trx);
    if (other !== undefined) {
      return other;
    }
    await insertSigningKey(trx, draft);
    changed('signing_key', draft.kid);
    return draft;
  });
}

async function draftSigningKey(secretBox: SecretBox, createTime: number): Promise<SigningKeyRecord> {
  const pair = await generateKeyPair(ALGORITHM, { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  return {
    kid,
    algorithm: ALGORITHM,
    publicJwk: JSON.stringify({ ...publicJwk, kid, alg: ALGORITHM, use: 'sig' }),
    sealedPrivateJwk: await secretBox.seal(PURPOSE, JSON.stringify(await exportJWK(pair.privateKey))),
    createTime,
  };
}

async function openPrivateKey(deps: Omit<KeyringDeps, 'now'>, record: SigningKeyRecord): Promise<Key> {
  const { store, secretBox } = deps;
  const text = await secretBox.open(PURPOSE, record.sealedPrivateJwk).catch((cause: unknown) => {
    const message =
      'The key that signs access tokens was stored with another secret key. Put that one into GATEWAY_PREVIOUS_SECRET_KEYS; ' +
      'if it is lost, empty the table signing_keys: a new key is made and users log in again.';
    throw new GatewayError('failed_precondition', message, { cause });
  });
  if (!secretBox.isCurrent(record.sealedPrivateJwk)) {
    await resealSigningKey(store.db, record.kid, await secretBox.seal(PURPOSE, text));
  }
  return importJWK(JSON.parse(text) as JWK, ALGORITHM); // written by draftSigningKey
}

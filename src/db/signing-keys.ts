import type { Kysely } from 'kysely';
import type { Database } from './database.ts';

/** A key that signs access tokens, as stored. Times are Unix milliseconds. */
export interface SigningKeyRecord {
  readonly kid: string;
  /** JWS algorithm, such as `ES256`. */
  readonly algorithm: string;
  /** JSON text of the public JWK. */
  readonly publicJwk: string;
  /** Sealed JSON text of the private JWK. */
  readonly sealedPrivateJwk: string;
  readonly createTime: number;
  /** Set when a newer key signs: until then the public key is still served. */
  readonly retireTime?: number;
}

/** Stores a new key. */
export async function insertSigningKey(db: Kysely<Database>, key: SigningKeyRecord): Promise<void> {
  await db
    .insertInto('signing_keys')
    .values({
      kid: key.kid,
      algorithm: key.algorithm,
      public_jwk: key.publicJwk,
      sealed_private_jwk: key.sealedPrivateJwk,
      create_time: key.createTime,
      retire_time: key.retireTime ?? null,
    })
    .execute();
}

/** All keys, newest first. */
export async function listSigningKeys(db: Kysely<Database>): Promise<SigningKeyRecord[]> {
  const query = db.selectFrom('signing_keys').selectAll().orderBy('create_time', 'desc').orderBy('kid');
  return (await query.execute()).map((row) => ({
    kid: row.kid,
    algorithm: row.algorithm,
    publicJwk: row.public_jwk,
    sealedPrivateJwk: row.sealed_private_jwk,
    createTime: row.create_time,
    ...(row.retire_time !== null && { retireTime: row.retire_time }),
  }));
}

/** Sets when the key stops being served. */
export async function retireSigningKey(db: Kysely<Database>, kid: string, retireTime: number): Promise<void> {
  await db.updateTable('signing_keys').set({ retire_time: retireTime }).where('kid', '=', kid).execute();
}

/** Replaces the sealed private part, after a change of the secret key. */
export async function resealSigningKey(db: Kysely<Database>, kid: string, sealedPrivateJwk: string): Promise<void> {
  await db.updateTable('signing_keys').set({ sealed_private_jwk: sealedPrivateJwk }).where('kid', '=', kid).execute();
}

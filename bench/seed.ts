import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { createApiKey, hashApiKey, keyPrefixOf } from '../src/authn/api-key.ts';
import { newId } from '../src/domain/ids.ts';

type Row = Record<string, SQLInputValue>;

/** What was put into the store. */
export interface Seeded {
  readonly slugs: readonly string[];
  /** Texts of the first of the keys; the others nobody knows. */
  readonly apiKeys: readonly string[];
}

/** How many of the seeded keys can be used. */
const USABLE_KEYS = 1024;

/**
 * Fills the embedded database of a stopped gateway by copying the row of one upstream and of one key under new ids, slugs and secrets:
 * the rows are what the gateway itself wrote, and 100,000 take a second.
 */
export function seedConfiguration(
  dataDir: string,
  options: { readonly template: { slug: string; apiKey: string }; readonly upstreams: number; readonly keys: number },
): Seeded {
  const database = new DatabaseSync(join(dataDir, 'portcullis.db'));
  database.exec('begin immediate');
  const slugs = seedUpstreams(database, options.template.slug, options.upstreams);
  const apiKeys = seedKeys(database, options.template.apiKey, options.keys);
  database.exec('commit');
  database.close();
  return { slugs, apiKeys };
}

function seedUpstreams(database: DatabaseSync, templateSlug: string, count: number): string[] {
  const template = getRow(database, 'select * from upstreams where slug = ?', templateSlug);
  const insert = insertInto(database, 'upstreams', template);
  return Array.from({ length: count }, (_, i) => {
    const slug = `seeded-${i}`;
    insert({ ...template, id: newId(), slug });
    return slug;
  });
}

function seedKeys(database: DatabaseSync, templateKey: string, count: number): string[] {
  const secret = getRow(database, 'select * from api_key_secrets where secret_hash = ?', hashApiKey(templateKey));
  const key = getRow(database, 'select * from api_keys where id = ?', secret['key_id'] ?? null);
  const insertKey = insertInto(database, 'api_keys', key);
  const insertSecret = insertInto(database, 'api_key_secrets', secret);
  const usable: string[] = [];
  for (let i = 0; i < count; i++) {
    const id = newId();
    const text = i < USABLE_KEYS ? createApiKey() : undefined;
    if (text !== undefined) usable.push(text);
    insertKey({ ...key, id });
    insertSecret({
      ...secret,
      key_id: id,
      secret_hash: text === undefined ? randomBytes(32).toString('hex') : hashApiKey(text),
      key_prefix: text === undefined ? 'pc_nobody00' : keyPrefixOf(text),
    });
  }
  return usable;
}

function getRow(database: DatabaseSync, query: string, parameter: SQLInputValue): Row {
  const row = database.prepare(query).get(parameter);
  if (row === undefined) throw new Error(`the store has no row for: ${query}`);
  return row;
}

function insertInto(database: DatabaseSync, table: string, like: Row): (row: Row) => void {
  const columns = Object.keys(like);
  const statement = database.prepare(
    `insert into ${table} (${columns.join(', ')}) values (${columns.map((column) => `:${column}`).join(', ')})`,
  );
  return (row) => void statement.run(row);
}

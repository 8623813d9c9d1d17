import { type Kysely, PostgresAdapter, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/** The tables of the first release. */
export const initial: Migration = {
  async up(db: Kysely<unknown>) {
    const postgres = db.getExecutor().adapter instanceof PostgresAdapter;
    const statements = [...configuration(postgres), ...(postgres ? POSTGRES_DECISIONS : SQLITE_DECISIONS)];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

/** The tables that are the same on both databases but for the name of the 64-bit type; SQLite's refuse wrong types as PostgreSQL's do. */
function configuration(postgres: boolean): string[] {
  const int64 = postgres ? 'bigint' : 'integer';
  const end = postgres ? ')' : ') strict';
  const revised = `revision integer not null, create_time ${int64} not null, update_time ${int64} not null`;
  return [
    `create table projects (
      id text primary key, slug text not null unique, display_name text not null, recorded_arguments text not null,
      default_effect text not null, policy_rules text not null, ${revised} ${end}`,

    `create table users (
      id text primary key, project_id text not null references projects (id), username text not null, email text not null,
      password_hash text not null, scopes text not null, disabled integer not null, tokens_valid_after ${int64} not null, ${revised} ${end}`,
    'create unique index users_username on users (lower(username))',
    'create index users_project on users (project_id, id)',

    `create table refresh_tokens (
      token_hash text primary key, user_id text not null references users (id) on delete cascade, family_id text not null,
      create_time ${int64} not null, expire_time ${int64} not null, use_time ${int64} ${end}`,
    'create index refresh_tokens_family on refresh_tokens (family_id)',
    'create index refresh_tokens_user on refresh_tokens (user_id)',

    `create table api_keys (
      id text primary key, project_id text not null references projects (id) on delete cascade, owner_kind text not null,
      owner_id text not null, display_name text not null, scopes text not null, grants text not null,
      expire_time ${int64}, revoke_time ${int64}, last_use_time ${int64}, ${revised} ${end}`,
    'create index api_keys_project on api_keys (project_id, id)',
    'create index api_keys_owner on api_keys (owner_id)',

    `create table api_key_secrets (
      secret_hash text primary key, key_id text not null references api_keys (id) on delete cascade, key_prefix text not null,
      create_time ${int64} not null, expire_time ${int64} ${end}`,
    'create index api_key_secrets_key on api_key_secrets (key_id)',

    `create table upstreams (
      id text primary key, project_id text not null references projects (id), slug text not null, config text not null,
      sealed_secrets text not null, enabled integer not null, ${revised}, unique (project_id, slug) ${end}`,
    'create index upstreams_project on upstreams (project_id, id)',

    `create table signing_keys (
      kid text primary key, algorithm text not null, public_jwk text not null, sealed_private_jwk text not null,
      create_time ${int64} not null, retire_time ${int64} ${end}`,

    `create table create_requests (
      project_id text not null, method text not null, request_id text not null, request_hash text not null,
      sealed_response text not null, create_time ${int64} not null, primary key (project_id, method, request_id) ${end}`,
    'create index create_requests_time on create_requests (create_time)',

    `create table ended_sessions (session_id text primary key, expire_time ${int64} not null ${end}`,
    'create index ended_sessions_time on ended_sessions (expire_time)',

    `create table config_state (id integer primary key check (id = 1), version ${int64} not null ${end}`,
    'insert into config_state (id, version) values (1, 0)',
    `create table config_changes (version ${int64} primary key, kind text not null, entity_id text not null ${end}`,
  ];
}

/** Row order is commit order on SQLite (one writer), and `autoincrement` keeps it so when the newest rows are gone. */
const SQLITE_DECISIONS = [
  `create table decisions (
    seq integer primary key autoincrement, tx integer not null default 0, id text not null unique, project_id text not null,
    create_time integer not null, effect text not null, principal_id text not null, upstream_id text, tool text,
    body text not null ) strict`,
  'create index decisions_project on decisions (project_id, seq)',
  `create table decision_outcomes (
    decision_id text primary key, end_time integer not null, status text not null, latency_micros integer not null,
    response_bytes integer not null ) strict, without rowid`,
];

/** Sequences are given out before the commit on PostgreSQL: the log's order is (tx, seq), read below the oldest running transaction. */
const POSTGRES_DECISIONS = [
  `create table decisions (
    seq bigint generated always as identity, tx bigint not null default (pg_current_xact_id()::text::bigint),
    id text not null unique, project_id text not null, create_time bigint not null, effect text not null,
    principal_id text not null, upstream_id text, tool text, body text not null, primary key (tx, seq) )`,
  'create index decisions_project on decisions (project_id, tx, seq)',
  `create table decision_outcomes (
    decision_id text primary key, end_time bigint not null, status text not null, latency_micros bigint not null,
    response_bytes bigint not null )`,
];

import { type Kysely, PostgresAdapter, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Gateways, versions and templates of upstreams, grants of gateways, and messages between replicas. */
export const gateways: Migration = {
  async up(db: Kysely<unknown>) {
    const postgres = db.getExecutor().adapter instanceof PostgresAdapter;
    const statements = [...(postgres ? POSTGRES_VERSIONS : SQLITE_VERSIONS), ...tables(postgres)];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};

const POSTGRES_VERSIONS = [
  `alter table upstreams add column version text not null default 'v1'`,
  'alter table upstreams drop constraint upstreams_project_id_slug_key',
  'alter table upstreams add unique (project_id, slug, version)',
];

/** SQLite cannot drop the constraint that a slug is unique, so the table is made anew. */
const SQLITE_VERSIONS = [
  `create table upstreams_new (
    id text primary key, project_id text not null references projects (id), slug text not null, version text not null default 'v1',
    config text not null, sealed_secrets text not null, enabled integer not null, revision integer not null,
    create_time integer not null, update_time integer not null, unique (project_id, slug, version) ) strict`,
  `insert into upstreams_new (id, project_id, slug, config, sealed_secrets, enabled, revision, create_time, update_time)
    select id, project_id, slug, config, sealed_secrets, enabled, revision, create_time, update_time from upstreams`,
  'drop table upstreams',
  'alter table upstreams_new rename to upstreams',
  'create index upstreams_project on upstreams (project_id, id)',
];

function tables(postgres: boolean): string[] {
  const int64 = postgres ? 'bigint' : 'integer';
  const end = postgres ? ')' : ') strict';
  return [
    `alter table api_keys add column gateway_grants text not null default '[]'`,
    'alter table approvals add column gateway_id text',

    `create table gateways (
      id text primary key, project_id text not null references projects (id), slug text not null, version text not null,
      config text not null, delete_time ${int64}, revision integer not null, create_time ${int64} not null,
      update_time ${int64} not null, unique (project_id, slug, version) ${end}`,
    'create index gateways_project on gateways (project_id, id)',

    `create table upstream_templates (
      id text primary key, project_id text not null references projects (id) on delete cascade, slug text not null,
      config text not null, create_time ${int64} not null, unique (project_id, slug) ${end}`,

    `create table replica_messages (
      id text primary key, recipient text not null, body text not null, create_time ${int64} not null ${end}`,
    'create index replica_messages_recipient on replica_messages (recipient, id)',
    'create index replica_messages_time on replica_messages (create_time)',
  ];
}

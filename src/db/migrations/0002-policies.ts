import { type Kysely, PostgresAdapter, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

/** Policies with their state, agents, teams, approvals and their webhook; the rule list of projects becomes policies. */
export const policies: Migration = {
  async up(db: Kysely<unknown>) {
    const postgres = db.getExecutor().adapter instanceof PostgresAdapter;
    for (const statement of tables(postgres)) await sql.raw(statement).execute(db);
    await moveRules(db);
    await sql.raw('alter table projects drop column policy_rules').execute(db);
  },
};

function tables(postgres: boolean): string[] {
  const int64 = postgres ? 'bigint' : 'integer';
  const double = postgres ? 'double precision' : 'real';
  const end = postgres ? ')' : ') strict';
  const revised = `revision integer not null, create_time ${int64} not null, update_time ${int64} not null`;
  return [
    `alter table users add column teams text not null default '[]'`,
    `alter table projects add column redacted_keys text not null default '[]'`,
    'alter table projects add column approval_webhook text',

    `create table agents (
      id text primary key, project_id text not null references projects (id), slug text not null, display_name text not null,
      description text not null, state text not null, owner_id text references users (id) on delete set null, teams text not null,
      ${revised}, unique (project_id, slug) ${end}`,
    'create index agents_project on agents (project_id, id)',
    'create index agents_owner on agents (owner_id)',

    `create table policies (
      id text primary key, project_id text not null references projects (id) on delete cascade, slug text not null,
      content text not null, version integer not null, latest_version integer not null, ${revised}, unique (project_id, slug) ${end}`,
    'create index policies_project on policies (project_id, id)',
    `create table policy_versions (
      policy_id text not null references policies (id) on delete cascade, version integer not null, content text not null,
      author_kind text not null, author_id text not null, author_name text not null, create_time ${int64} not null,
      primary key (policy_id, version) ${end}`,

    `create table policy_states (
      key text primary key, project_id text not null, value ${double} not null, time ${int64} not null,
      updates ${int64} not null, expire_time ${int64} not null ${end}`,
    'create index policy_states_expiry on policy_states (expire_time)',
    `create table policy_state_times (
      key text not null, update_number ${int64} not null, time ${int64} not null, expire_time ${int64} not null,
      primary key (key, update_number) ${end}`,
    'create index policy_state_times_expiry on policy_state_times (expire_time)',

    `create table approvals (
      id text primary key, project_id text not null, state text not null, call_id text not null, principal_id text not null,
      upstream_slug text not null, method text not null, tool text not null, arguments_digest text not null,
      consume_call_id text, expire_time ${int64} not null, change_version ${int64} not null, body text not null, ${revised} ${end}`,
    'create index approvals_project on approvals (project_id, id)',
    'create index approvals_changes on approvals (project_id, change_version)',
    'create index approvals_call on approvals (principal_id, state)',
    'create index approvals_expiry on approvals (state, expire_time)',

    `create table webhook_deliveries (
      id text primary key, project_id text not null references projects (id) on delete cascade, approval_id text not null,
      body text not null, attempts integer not null, next_time ${int64} not null, create_time ${int64} not null ${end}`,
    'create index webhook_deliveries_due on webhook_deliveries (next_time)',
  ];
}

interface OldRule {
  readonly id: string;
  readonly upstreamPattern: string;
  readonly toolPattern: string;
  readonly effect: string;
  readonly message: string;
}

/** The first rule that matched decided, so each becomes a policy of its own, in falling priority. */
async function moveRules(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ id: string; policy_rules: string; update_time: number }>`
    select id, policy_rules, update_time from projects where policy_rules <> '[]'`.execute(db);
  for (const project of rows) {
    // The cast trusts what the release before this one wrote.
    for (const [index, rule] of (JSON.parse(project.policy_rules) as OldRule[]).entries()) {
      const id = `${project.id.slice(0, 24)}${index.toString(16).padStart(12, '0')}`;
      const content = JSON.stringify(contentOf(rule, index));
      await sql`insert into policies (id, project_id, slug, content, version, latest_version, revision, create_time, update_time)
        values (${id}, ${project.id}, ${`rule-${index + 1}`}, ${content}, 1, 1, 1, ${project.update_time}, ${project.update_time})`.execute(
        db,
      );
      await sql`insert into policy_versions (policy_id, version, content, author_kind, author_id, author_name, create_time)
        values (${id}, 1, ${content}, 'user', '', '', ${project.update_time})`.execute(db);
    }
  }
}

function contentOf(rule: OldRule, index: number) {
  return {
    displayName: '',
    priority: 1000 - index,
    mode: 'enforce',
    subjects: { agentIds: [], userIds: [], apiKeyIds: [], teams: [] },
    targets: [{ upstreamPattern: rule.upstreamPattern, toolPattern: rule.toolPattern }],
    rules: [{ id: rule.id, message: rule.message, says: { kind: 'effect', effect: rule.effect } }],
    approval: {
      behavior: 'error',
      expireAfterMs: 3_600_000,
      holdTimeoutMs: 50_000,
      requiredApprovals: 1,
      approverIds: [],
      allowSelfApproval: false,
    },
  };
}

import type { Generated } from 'kysely';

/**
 * The tables, as Kysely sees them on both databases. Times are Unix milliseconds (bigint columns, read as numbers), booleans are 0 or 1,
 * JSON is kept as text and parsed by the repositories.
 */
export interface Database {
  projects: ProjectTable;
  users: UserTable;
  refresh_tokens: RefreshTokenTable;
  api_keys: ApiKeyTable;
  api_key_secrets: ApiKeySecretTable;
  upstreams: UpstreamTable;
  gateways: GatewayTable;
  upstream_templates: UpstreamTemplateTable;
  replica_messages: ReplicaMessageTable;
  agents: AgentTable;
  policies: PolicyTable;
  policy_versions: PolicyVersionTable;
  policy_states: PolicyStateTable;
  policy_state_times: PolicyStateTimeTable;
  approvals: ApprovalTable;
  webhook_deliveries: WebhookDeliveryTable;
  signing_keys: SigningKeyTable;
  create_requests: CreateRequestTable;
  ended_sessions: EndedSessionTable;
  config_state: ConfigStateTable;
  config_changes: ConfigChangeTable;
  decisions: DecisionTable;
  decision_outcomes: DecisionOutcomeTable;
}

export interface ProjectTable {
  id: string;
  slug: string;
  display_name: string;
  recorded_arguments: 'none' | 'redacted' | 'full';
  default_effect: 'allow' | 'deny' | 'require_approval';
  /** JSON array of names. */
  redacted_keys: string;
  /** JSON of ApprovalWebhook; null = none. */
  approval_webhook: string | null;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface UserTable {
  id: string;
  project_id: string;
  /** Unique over all projects, compared in lower case. */
  username: string;
  email: string;
  /** `scrypt$N$r$p$salt$hash`, base64url parts. */
  password_hash: string;
  /** JSON array of scopes. */
  scopes: string;
  /** JSON array of names. */
  teams: string;
  disabled: number;
  /** Tokens issued before this time are refused (password change, disabling). */
  tokens_valid_after: number;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface RefreshTokenTable {
  /** SHA-256 of the token, hex. */
  token_hash: string;
  user_id: string;
  /** All tokens descended from one login; a second use of one ends the family. */
  family_id: string;
  create_time: number;
  expire_time: number;
  use_time: number | null;
}

export interface ApiKeyTable {
  id: string;
  project_id: string;
  owner_kind: 'user' | 'agent';
  owner_id: string;
  display_name: string;
  scopes: string;
  /** JSON: `"all"` or an array of upstream ids. */
  grants: string;
  /** JSON array of gateway ids. */
  gateway_grants: string;
  expire_time: number | null;
  revoke_time: number | null;
  last_use_time: number | null;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface ApiKeySecretTable {
  /** SHA-256 of the whole key text, hex. */
  secret_hash: string;
  key_id: string;
  key_prefix: string;
  create_time: number;
  /** Set on the older secret by a rotation: the end of the overlap. */
  expire_time: number | null;
}

export interface UpstreamTable {
  id: string;
  project_id: string;
  /** With the version unique within the project. */
  slug: string;
  version: string;
  /** JSON of the fields of Upstream that are not columns here. */
  config: string;
  sealed_secrets: string;
  enabled: number;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface GatewayTable {
  id: string;
  project_id: string;
  /** With the version unique within the project. */
  slug: string;
  version: string;
  /** JSON of the fields of Gateway that are not columns here. */
  config: string;
  delete_time: number | null;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface UpstreamTemplateTable {
  id: string;
  project_id: string;
  /** Unique within the project. */
  slug: string;
  /** JSON of the fields that are not columns here. */
  config: string;
  create_time: number;
}

/** Messages between replicas of one installation; each is read and deleted by its recipient. */
export interface ReplicaMessageTable {
  id: string;
  /** The replica it is for. */
  recipient: string;
  body: string;
  create_time: number;
}

export interface AgentTable {
  id: string;
  project_id: string;
  /** Unique within the project. */
  slug: string;
  display_name: string;
  description: string;
  state: 'active' | 'suspended' | 'revoked';
  owner_id: string | null;
  /** JSON array of names. */
  teams: string;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface PolicyTable {
  id: string;
  project_id: string;
  /** Unique within the project. */
  slug: string;
  /** JSON of the PolicyContent in force. */
  content: string;
  version: number;
  latest_version: number;
  revision: number;
  create_time: number;
  update_time: number;
}

export interface PolicyVersionTable {
  policy_id: string;
  version: number;
  /** JSON of PolicyContent. */
  content: string;
  author_kind: 'user' | 'agent';
  author_id: string;
  author_name: string;
  create_time: number;
}

/** State that rules keep, such as counters; see domain/policy-state.ts. */
export interface PolicyStateTable {
  key: string;
  project_id: string;
  value: number;
  time: number;
  /** How often it was written. */
  updates: number;
  expire_time: number;
}

/** The times of the last updates of a state, for rolling windows. */
export interface PolicyStateTimeTable {
  key: string;
  /** The value of `updates` after it. */
  update_number: number;
  time: number;
  expire_time: number;
}

export interface ApprovalTable {
  id: string;
  project_id: string;
  state: 'pending' | 'approved' | 'denied' | 'expired' | 'consumed';
  call_id: string;
  principal_id: string;
  /** Its address. */
  upstream_slug: string;
  gateway_id: string | null;
  method: string;
  tool: string;
  arguments_digest: string;
  consume_call_id: string | null;
  expire_time: number;
  /** The configuration's version after the last change of the row: orders changes as they were committed. */
  change_version: number;
  /** JSON of the Approval's other fields. */
  body: string;
  revision: number;
  create_time: number;
  update_time: number;
}

/** What a project's webhook has still to be told; removed once it was. */
export interface WebhookDeliveryTable {
  /** Sent as `webhook-id`, the same at every attempt. */
  id: string;
  project_id: string;
  approval_id: string;
  /** The JSON text that is sent. */
  body: string;
  attempts: number;
  /** When the next attempt is due; put off while an attempt runs. */
  next_time: number;
  create_time: number;
}

export interface SigningKeyTable {
  kid: string;
  algorithm: string;
  public_jwk: string;
  sealed_private_jwk: string;
  create_time: number;
  /** Set when a newer key signs; the public key is still served until then. */
  retire_time: number | null;
}

/** The first answer of every Create that carried a `request_id`, kept for a day, sealed because it may hold a secret. */
export interface CreateRequestTable {
  project_id: string;
  method: string;
  request_id: string;
  /** SHA-256 of the request, hex: the same `request_id` with another body is an error. */
  request_hash: string;
  sealed_response: string;
  create_time: number;
}

export interface EndedSessionTable {
  session_id: string;
  expire_time: number;
}

/** One row: `id` 1. Its version counts every change of hot configuration, in commit order. */
export interface ConfigStateTable {
  id: number;
  version: number;
}

/** What a replica must read again; `version` is the value of config_state after the change. */
export interface ConfigChangeTable {
  version: number;
  kind: ConfigKind;
  entity_id: string;
}

export type ConfigKind =
  | 'project'
  | 'user'
  | 'agent'
  | 'api_key'
  | 'upstream'
  | 'gateway'
  | 'policy'
  | 'approval'
  | 'ended_session'
  | 'signing_key';

export interface DecisionTable {
  seq: Generated<bigint>;
  /** PostgreSQL: the writing transaction's id (xid8 as bigint). SQLite: 0. */
  tx: Generated<bigint>;
  id: string;
  project_id: string;
  create_time: number;
  effect: 'allow' | 'deny' | 'require_approval';
  principal_id: string;
  upstream_id: string | null;
  tool: string | null;
  /** JSON of the Decision's other fields. */
  body: string;
}

export interface DecisionOutcomeTable {
  decision_id: string;
  end_time: number;
  status: string;
  latency_micros: number;
  response_bytes: number;
}

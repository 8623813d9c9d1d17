import type { GuardrailConfig } from './guardrail-config.ts';
import type { ProjectId, UpstreamId } from './ids.ts';

/** The two families of MCP revisions: session-based up to 2025-11-25, and stateless from 2026-07-28. */
export type Era = 'legacy' | 'modern';

/** When a decision must be durable: before the upstream sees a byte, or before the caller sees an answer. */
export type DecisionCommit = 'before_forward' | 'before_answer';

/** Who shares one stdio process or SSE connection. */
export type ConnectionSharing = 'per_principal' | 'per_session' | 'per_upstream';

export type Transport =
  | { readonly kind: 'streamable_http'; readonly url: string }
  | { readonly kind: 'sse'; readonly url: string; readonly sharing: ConnectionSharing }
  | {
      readonly kind: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      /** Absolute path; absent = the gateway's own working directory. */
      readonly workingDirectory?: string;
      readonly sharing: ConnectionSharing;
      /** At most this many processes of the upstream at once on a replica. */
      readonly maxProcesses: number;
      /** A process without a call for this long is ended. */
      readonly idleTimeoutMs: number;
    };

/** Names of tools that may be called; `prefix*` and `*` are patterns. An empty allow list allows all; deny wins. */
export interface ToolFilter {
  readonly allowedTools: readonly string[];
  readonly deniedTools: readonly string[];
}

/** How the gateway authenticates to the upstream; the secret parts are in {@link UpstreamSecrets}. */
export type UpstreamAuth =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer' }
  | { readonly kind: 'basic'; readonly username: string };

/** Everything of an upstream that must not leave the gateway; stored encrypted as one JSON text, opened in `upstream/` only. */
export interface UpstreamSecrets {
  readonly bearerToken?: string;
  readonly basicPassword?: string;
  /** Header values by lower-case header name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Environment of the stdio process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** An MCP server behind the gateway. Immutable; a change makes a new object with a higher revision. */
export interface Upstream {
  readonly id: UpstreamId;
  readonly projectId: ProjectId;
  readonly slug: string;
  /** `v1` by default; with the slug unique in the project, also among gateways. */
  readonly version: string;
  readonly displayName: string;
  readonly description: string;
  readonly transport: Transport;
  readonly auth: UpstreamAuth;
  /** Sealed {@link UpstreamSecrets} (compact JWE); empty when the upstream has none. */
  readonly sealedSecrets: string;
  /** Names of the custom headers and environment variables, which may be shown, unlike their values. */
  readonly headerNames: readonly string[];
  readonly envNames: readonly string[];
  readonly toolFilter: ToolFilter;
  readonly inputGuardrails?: GuardrailConfig;
  readonly outputGuardrails?: GuardrailConfig;
  /** Slug of the template it was made from; absent = none. */
  readonly templateSlug?: string;
  /** Set by the operator; absent = found out by asking the upstream. */
  readonly era?: Era;
  readonly decisionCommit: DecisionCommit;
  /** Longest time the upstream may stay silent within one exchange. */
  readonly timeoutMs: number;
  readonly enabled: boolean;
  readonly revision: number;
  readonly createTime: number;
  readonly updateTime: number;
}

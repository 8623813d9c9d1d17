import type { Principal } from '../domain/principal.ts';
import type { ToolFilter } from '../domain/upstream.ts';

/** What policies decide about: a governed request, or a call that is made elsewhere. */
export interface PolicyCall {
  readonly principal: Pick<Principal, 'kind' | 'id' | 'name' | 'projectId' | 'apiKeyId' | 'teams' | 'ownerId'>;
  /** The slug is empty when the call names no upstream. */
  readonly upstream: { readonly slug: string; readonly toolFilter?: ToolFilter };
  readonly method: string;
  /** Name of the tool or prompt, or URI of the resource; undefined for a method that names none. */
  readonly tool: string | undefined;
  /** As parsed from JSON; numbers that a double cannot hold are JSON.rawJSON objects. */
  readonly arguments: unknown;
  /** Undefined when the caller has no session. */
  readonly session: string | undefined;
}

import type { GatewayUpstream, ToolOverride } from '../domain/gateway.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Upstream } from '../domain/upstream.ts';
import type { Offer } from './offer.ts';

/** An upstream of a gateway as it is there. */
export interface Member {
  readonly entry: GatewayUpstream;
  /** As it is configured: its connections serve others too. */
  readonly upstream: Upstream;
  /** Longest silence of its calls through this target, in milliseconds: the entry's or, where that says nothing, the upstream's own. */
  readonly timeoutMs: number;
  /** What stands before its names, `_` included; '' = nothing. */
  readonly prefix: string;
}

/** A member with what it offers the viewer. */
export interface OfferingMember extends Member {
  readonly offer: Offer;
}

/** A tool as clients of the gateway see it. */
export interface ExposedTool {
  /** At most 64 characters, unless the upstream's own name is longer and nothing stands before it (a slug with one upstream changes no names). */
  readonly name: string;
  readonly member: Member;
  /** The upstream's own name. */
  readonly tool: string;
  /** As listed: with the exposed name, overrides applied, hidden arguments taken out. */
  readonly definition: JsonObject;
  /** The definition as JSON text; absent where it was not made. */
  readonly json?: string;
  readonly override: ToolOverride | undefined;
  /** The upstream's own schema of the arguments; undefined when the list is not known. */
  readonly inputSchema: JsonObject | undefined;
}

/** A prompt as clients of the gateway see it. */
export interface ExposedPrompt {
  readonly name: string;
  readonly member: Member;
  /** The upstream's own name. */
  readonly prompt: string;
  readonly definition: JsonObject;
  /** The definition as JSON text; absent where it was not made. */
  readonly json?: string;
}

/** A resource, or a template of resources, as clients of the gateway see it. */
export interface ExposedResource {
  /** URI or URI template. */
  readonly uri: string;
  readonly member: Member;
  /** The upstream's own URI or URI template. */
  readonly upstreamUri: string;
  readonly definition: JsonObject;
  /** The definition as JSON text; absent where it was not made. */
  readonly json?: string;
}

/** Something of a gateway that clients do not get, and why. */
export interface CompositionProblem {
  /** Address of the upstream. */
  readonly upstream: string;
  /** What is missing: the upstream's lists, or one tool, prompt or resource by its exposed name. */
  readonly name: string | undefined;
  readonly message: string;
}

/** What a gateway offers a viewer; immutable, made of the members' offers. */
export interface Composition {
  readonly members: readonly OfferingMember[];
  /** In the order of the members, and within one in the upstream's order. */
  readonly tools: readonly ExposedTool[];
  readonly prompts: readonly ExposedPrompt[];
  readonly resources: readonly ExposedResource[];
  readonly resourceTemplates: readonly ExposedResource[];
  readonly problems: readonly CompositionProblem[];
  /**
   * The tool of this exposed name; also one that is not listed, where the name says which upstream it must belong to and what that one
   * offers is not known. Undefined = nothing of this name is offered here.
   */
  findTool(name: string): ExposedTool | undefined;
  /** Addresses of the upstreams that have a tool (or prompt) of this exposed name which is not offered because it is not one's alone. */
  clash(name: string, kind?: 'tool' | 'prompt'): readonly string[] | undefined;
  findPrompt(name: string): Pick<ExposedPrompt, 'member' | 'prompt'> | undefined;
  /** Where a resource is read: listed, matched by a template, named as `slug+uri`, or of the only upstream that has resources. */
  findResource(uri: string): Pick<ExposedResource, 'member' | 'upstreamUri'> | undefined;
  /** The template of this exposed URI template, for completion. */
  findResourceTemplate(uriTemplate: string): Pick<ExposedResource, 'member' | 'upstreamUri'> | undefined;
}

import type { JsonObject } from './json.ts';

/** Which guardrail inspects content, and what it does about what it finds; an absent field says nothing. */
export interface GuardrailConfig {
  readonly enabled?: boolean;
  readonly guardrailName?: string;
  /** Detectors whose findings block; empty = none. */
  readonly block: readonly string[];
  readonly additionalConfig?: JsonObject;
}

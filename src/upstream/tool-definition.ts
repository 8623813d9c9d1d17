import type { JsonObject } from './message.ts';

/** A tool as its upstream describes it, in a `tools/list` result; only the name is sure to be right. */
export interface ToolDefinition extends JsonObject {
  readonly name: string;
}

/** True for what can be called: a tool with a name. */
export function isToolDefinition(tool: unknown): tool is ToolDefinition {
  return typeof tool === 'object' && tool !== null && 'name' in tool && typeof tool.name === 'string';
}

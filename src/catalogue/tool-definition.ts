import type { ToolOverride } from '../domain/gateway.ts';
import type { JsonObject } from '../domain/json.ts';
import { isObject, metaOf } from '../upstream/message.ts';
import { definitionJson } from './definition-json.ts';
import { shownSchema } from './shown-schema.ts';

/** What a gateway changes about a definition of an upstream. */
export interface DefinitionChange {
  /** Address of the upstream. */
  readonly address: string;
  /** The exposed name. */
  readonly name: string;
  readonly override?: ToolOverride | undefined;
}

/** A definition as listed, and the same as JSON text; without the text it cannot be offered (see {@link definitionJson}). */
export interface ShownDefinition {
  readonly definition: JsonObject;
  readonly json: string | undefined;
}

interface KeptDefinition extends DefinitionChange, ShownDefinition {}

/** As many gateways with different names for a tool keep its definitions between them. */
const KEPT = 4;

/** By the upstream's definition: lists of different viewers share it, so that theirs share what is made of it. */
const kept = new WeakMap<JsonObject, KeptDefinition[]>();

/** The tool definition that clients see; the upstream's own object when nothing of it changes. */
export function shownTool(source: JsonObject, change: DefinitionChange): ShownDefinition {
  return keep(source, change, toolDefinition);
}

/** The prompt definition that clients see; the upstream's own object when nothing of it changes. */
export function shownPrompt(source: JsonObject, change: DefinitionChange): ShownDefinition {
  return keep(source, change, promptDefinition);
}

function keep(
  source: JsonObject,
  { address, name, override }: DefinitionChange,
  make: (source: JsonObject, change: DefinitionChange) => JsonObject,
): ShownDefinition {
  const known = kept.get(source) ?? [];
  const same = known.find((one) => one.name === name && one.override === override && one.address === address);
  if (same !== undefined) {
    return same;
  }
  const definition = make(source, { address, name, override });
  const shown = { address, name, override, definition, json: definitionJson(definition) };
  kept.set(source, [...known.slice(1 - KEPT), shown]);
  return shown;
}

function toolDefinition(source: JsonObject, { address, name, override }: DefinitionChange): JsonObject {
  if (override === undefined && name === source['name']) {
    return source;
  }
  const { inputSchema } = source;
  return {
    ...source,
    name,
    ...(override?.description === undefined ? {} : { description: override.description }),
    ...(override === undefined || !isObject(inputSchema) ? {} : { inputSchema: shownSchema(inputSchema, override) }),
    ...(name === source['name'] ? {} : originMeta(source, address, 'portcullis/tool')),
  };
}

function promptDefinition(source: JsonObject, { address, name }: DefinitionChange): JsonObject {
  return name === source['name'] ? source : { ...source, name, ...originMeta(source, address, 'portcullis/prompt') };
}

/** Tells what an exposed name stands for. */
function originMeta(source: JsonObject, address: string, key: string): JsonObject {
  return { _meta: { ...metaOf(source), 'portcullis/upstream': address, [key]: source['name'] } };
}

import type { JsonObject } from '../domain/json.ts';
import { isObject } from '../upstream/message.ts';
import type { Composition, ExposedTool } from './composition.ts';
import { argumentNames, searchIndexOf } from './search-index.ts';
import { DEFAULT_LIMIT, MAX_LIMIT } from './search-tools.ts';

/** What a client may find. */
export interface ToolSearch {
  readonly composition: Composition;
  /** False for a tool that the client must not learn of. */
  readonly allowed: (tool: ExposedTool) => boolean;
}

/** Longest name that is called, in UTF-16 code units, as of any other call: it is recorded. */
const MAX_CALLED_NAME = 512;
const MAX_SUMMARY_LENGTH = 240;
const MAX_SHOWN_ARGUMENTS = 30;
const SUGGESTIONS = 3;

/** The result of `search_tools`; what is wrong with the arguments is told in it. */
export async function searchTools(search: ToolSearch, args: JsonObject | undefined): Promise<JsonObject> {
  const query = args?.['query'];
  const limit = readLimit(args?.['limit']);
  if (typeof query !== 'string' || limit === undefined) {
    return failure(`search_tools takes a 'query', a text, and a 'limit' of 1 to ${MAX_LIMIT}.`);
  }
  const tools = await find(search, query, limit);
  const found = { tools: tools.map(summaryOf) };
  const hint = 'Nothing fits. Try other words, in the language of the descriptions, such as what the tool works on.';
  return {
    content: [textContent(JSON.stringify(found)), ...(tools.length === 0 ? [textContent(hint)] : [])],
    structuredContent: found,
  };
}

/** The result of `describe_tool`: the definition, or an error that names the tools which may have been meant. */
export async function describeTool(search: ToolSearch, args: JsonObject | undefined): Promise<JsonObject> {
  const name = args?.['name'];
  if (typeof name !== 'string') {
    return failure("describe_tool takes a 'name', a text.");
  }
  const tool = search.composition.findTool(name);
  if (tool === undefined || !search.allowed(tool)) {
    return unknownTool(search, name);
  }
  if (tool.json === undefined) {
    return failure(`The upstream of the tool '${name}' does not tell its tools at the moment. Try again later.`);
  }
  return { content: [textContent(tool.json)], structuredContent: tool.definition };
}

/** What `call_tool` is to call, by its exposed name; or, as a `refusal`, the result that says what is wrong with its arguments. */
export function readToolCall(
  args: JsonObject | undefined,
): { readonly name: string; readonly arguments: JsonObject | undefined } | { readonly refusal: JsonObject } {
  const { name, arguments: given } = args ?? {};
  if (typeof name !== 'string' || name === '' || name.length > MAX_CALLED_NAME) {
    return { refusal: failure("call_tool takes a 'name', a text, and 'arguments', an object.") };
  }
  if (given !== undefined && !isObject(given)) {
    return { refusal: failure("The 'arguments' of call_tool are an object, as describe_tool says of the tool.") };
  }
  return { name, arguments: given };
}

/** The result for a name that means no tool here; it suggests the closest ones. */
export async function unknownTool(search: ToolSearch, name: string): Promise<JsonObject> {
  const shown = name.length > MAX_SUMMARY_LENGTH ? `${cut(name, MAX_SUMMARY_LENGTH)}…` : name;
  const clash = search.composition.clash(name);
  if (clash !== undefined) {
    return failure(`The tool '${shown}' cannot be called: several upstreams have it (${clash.join(', ')}).`);
  }
  const close = await find(search, name, SUGGESTIONS);
  const names = close.map((tool) => `'${tool.name}'`);
  const advice = names.length === 0 ? 'Find tools with search_tools.' : `Did you mean ${names.join(', ')}?`;
  return failure(`There is no tool '${shown}'. ${advice}`);
}

/** The best tools that are allowed; one that is called exactly like the query comes first. */
async function find({ composition, allowed }: ToolSearch, query: string, limit: number): Promise<ExposedTool[]> {
  const index = await searchIndexOf(composition);
  const exact = composition.findTool(query.trim());
  const found: ExposedTool[] = exact?.json !== undefined && allowed(exact) ? [exact] : [];
  for (const place of index.search(query)) {
    if (found.length >= limit) {
      break;
    }
    const tool = composition.tools[place];
    if (tool !== undefined && tool !== exact && allowed(tool)) {
      found.push(tool);
    }
  }
  return found;
}

/** Models write numbers as texts at times, and too large ones; a long one may be kept as its text. */
function readLimit(value: unknown): number | undefined {
  if (value === undefined || value === null) {
    return DEFAULT_LIMIT;
  }
  const limit = Number(JSON.isRawJSON(value) ? value.rawJSON : typeof value === 'object' ? undefined : value);
  return Number.isNaN(limit) || limit < 1 ? undefined : Math.min(Math.floor(limit), MAX_LIMIT);
}

function summaryOf({ name, definition }: ExposedTool): JsonObject {
  const { description, title } = definition;
  const text = typeof description === 'string' && description !== '' ? description : title;
  return {
    name,
    ...(typeof text === 'string' ? { description: firstSentence(text) } : {}),
    arguments: argumentNames(definition).slice(0, MAX_SHOWN_ARGUMENTS),
  };
}

function firstSentence(description: string): string {
  const beginning = description
    .slice(0, 4 * MAX_SUMMARY_LENGTH)
    .replace(/\s+/g, ' ')
    .trim();
  const sentence = /^.*?(?:[.!?](?=\s+\p{Lu}|$)|[。！？])/u.exec(beginning)?.[0] ?? beginning;
  return sentence.length <= MAX_SUMMARY_LENGTH ? sentence : `${cut(sentence, MAX_SUMMARY_LENGTH - 1)}…`;
}

/** At most so many UTF-16 units, without half of a pair at the end. */
function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');
}

function textContent(text: string): JsonObject {
  return { type: 'text', text };
}

function failure(message: string): JsonObject {
  return { content: [textContent(message)], isError: true };
}

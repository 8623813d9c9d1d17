import type { JsonObject } from '../domain/json.ts';
import type { ListItem } from './pages.ts';

/** The tools of a gateway in SEARCH mode. */
export type SearchToolName = 'search_tools' | 'describe_tool' | 'call_tool';

/** Most tools that one search gives, and how many it gives unless it is told. */
export const MAX_LIMIT = 50;
export const DEFAULT_LIMIT = 10;

const text = { type: 'string' };
const name = { type: 'string', description: 'Name from search_tools' };

const searchTools = {
  name: 'search_tools',
  description:
    'Find tools by what they do. Start here: the tools you can call are not listed otherwise. Best match first.',
  inputSchema: {
    type: 'object',
    properties: {
      query: { type: 'string', description: 'Words for the task, e.g. "create github issue"' },
      limit: { type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT },
    },
    required: ['query'],
  },
  outputSchema: {
    type: 'object',
    properties: {
      tools: {
        type: 'array',
        items: {
          type: 'object',
          properties: { name: text, description: text, arguments: { type: 'array', items: text } },
          required: ['name'],
        },
      },
    },
    required: ['tools'],
  },
  annotations: { readOnlyHint: true },
};

const describeTool = {
  name: 'describe_tool',
  description: 'Read the full definition of one tool, with the schema of its arguments, before you call it.',
  inputSchema: { type: 'object', properties: { name }, required: ['name'] },
  annotations: { readOnlyHint: true },
};

const callTool = {
  name: 'call_tool',
  description: 'Call a tool found with search_tools. The result is that of the tool.',
  inputSchema: {
    type: 'object',
    properties: { name, arguments: { type: 'object', description: 'As describe_tool says' } },
    required: ['name'],
  },
};

/** What `tools/list` gives in SEARCH mode: few enough words for any model's context. */
export const SEARCH_TOOLS: readonly (ListItem & { readonly name: string })[] = [
  searchTools,
  describeTool,
  callTool,
].map((definition: JsonObject & { readonly name: string }) => ({
  name: definition.name,
  definition,
  json: JSON.stringify(definition),
}));

/** True for a name that in SEARCH mode means the gateway's own tool, whatever its upstreams have. */
export function isSearchTool(name: string): name is SearchToolName {
  return SEARCH_TOOLS.some((tool) => tool.name === name);
}

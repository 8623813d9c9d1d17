import { expect, test } from 'vitest';
import type { Composition, ExposedTool } from '../../src/catalogue/composition.ts';
import { searchIndexOf } from '../../src/catalogue/search-index.ts';
import { searchTerms } from '../../src/catalogue/search-terms.ts';
import { isSearchTool, SEARCH_TOOLS } from '../../src/catalogue/search-tools.ts';
import { describeTool, readToolCall, searchTools, unknownTool } from '../../src/catalogue/tool-search.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { composed, tool } from './composed-gateway.ts';

function withArguments(name: string, description: string, ...names: readonly string[]): JsonObject {
  const properties = Object.fromEntries(names.map((argument) => [argument, { type: 'string' }]));
  return { name, description, inputSchema: { type: 'object', properties } };
}

const github = {
  slug: 'github',
  offers: [
    withArguments('create_issue', 'Opens a new issue in a repository. Needs write access.', 'owner', 'repo', 'title'),
    withArguments('createPullRequest', 'Proposes changes of a branch.', 'owner', 'repo', 'head'),
    withArguments('list_commits', 'Lists commits of a branch.', 'owner', 'repo', 'sha'),
  ],
};
const weather = {
  slug: 'weather',
  offers: [
    withArguments('forecast', 'Weather of the next days at a place.', 'latitude', 'longitude'),
    withArguments('alerts', 'Storm warnings of a region; see also the issue tracker.', 'region'),
    withArguments('air', '查询城市的空气质量。', 'city'),
  ],
};
const everything = composed(github, weather);

const open = (composition: Composition) => ({ composition, allowed: () => true });

async function found(query: unknown, composition = everything, limit?: unknown): Promise<unknown[]> {
  const result = await searchTools(open(composition), { query, ...(limit === undefined ? {} : { limit }) });
  const { tools } = result['structuredContent'] as { tools: { name: string }[] };
  return tools.map(({ name }) => name);
}

function textOf(result: JsonObject): string {
  return (result['content'] as { text: string }[]).map(({ text }) => text).join('\n');
}

test('the three tools cost a model fewer than 400 tokens', () => {
  const json = `[${SEARCH_TOOLS.map((one) => one.json).join(',')}]`;

  expect(SEARCH_TOOLS.map(({ name }) => name)).toEqual(['search_tools', 'describe_tool', 'call_tool']);
  // Four characters are about a token.
  expect(json.length).toBeLessThan(1600);
  expect(isSearchTool('call_tool')).toBe(true);
  expect(isSearchTool('github_create_issue')).toBe(false);
});

test.each([
  ['words of its name', 'create issue', 'github_create_issue'],
  ['its name', 'github_createPullRequest', 'github_createPullRequest'],
  ['words of a name in camel case', 'pull request', 'github_createPullRequest'],
  ['words of its description', 'storm warnings', 'weather_alerts'],
  ['an argument', 'latitude', 'weather_forecast'],
  ['the beginning of a word', 'forec', 'weather_forecast'],
  ['a misspelt word', 'forcast', 'weather_forecast'],
  ['a plural', 'forecasts', 'weather_forecast'],
  ['a sentence', 'I want to know the weather for the next days', 'weather_forecast'],
  ['a language without spaces', '空气', 'weather_air'],
])('a tool is found by %s', async (_, query, name) => {
  expect((await found(query))[0]).toBe(name);
});

test('a match in the name counts more than one in the arguments, and that more than one in the description', async () => {
  const offers = [
    withArguments('a', 'About an invoice and its parts.', 'id'),
    withArguments('b', 'About something and its parts.', 'invoice'),
    withArguments('get_invoice', 'About something and its parts.', 'id'),
  ];

  expect(await found('invoice', composed({ slug: 'x', offers }, weather))).toEqual(['x_get_invoice', 'x_b', 'x_a']);
});

test('a result tells name, first sentence and arguments', async () => {
  const result = await searchTools(open(everything), { query: 'create issue', limit: 1 });
  const structuredContent = {
    tools: [
      {
        name: 'github_create_issue',
        description: 'Opens a new issue in a repository.',
        arguments: ['owner', 'repo', 'title'],
      },
    ],
  };

  expect(result).toEqual({
    content: [{ type: 'text', text: JSON.stringify(structuredContent) }],
    structuredContent,
  });
});

test('a long description without an end is cut at 240 characters', async () => {
  const offers = [tool('long', `${'word '.repeat(47)}wor😀 more`), { name: 'untold', title: 'Untold' }];
  const composition = composed({ slug: 'x', offers }, github);
  const result = await searchTools(open(composition), { query: 'x', limit: 2 });

  expect(result['structuredContent']).toEqual({
    tools: [
      { name: 'x_long', description: `${'word '.repeat(47)}wor…`, arguments: [] },
      { name: 'x_untold', description: 'Untold', arguments: [] },
    ],
  });
});

test.each([
  [undefined, 10],
  [3, 3],
  ['4', 4],
  [2.9, 2],
  [1000, 50],
  [JSON.rawJSON('12345678901234567890'), 50],
])('with a limit of %s up to %i tools are given', async (limit, count) => {
  const offers = Array.from({ length: 60 }, (_, at) => tool(`report_${at}`));

  expect(await found('report', composed({ slug: 'x', offers }, github), limit)).toHaveLength(count);
});

test.each([
  ['no arguments', undefined],
  ['no query', {}],
  ['a query that is no text', { query: 7 }],
  ['a limit of 0', { query: 'a', limit: 0 }],
  ['a limit that is no number', { query: 'a', limit: 'many' }],
  ['a limit that is an object', { query: 'a', limit: [] }],
])('%s is told to be wrong', async (_, args) => {
  expect(await searchTools(open(everything), args)).toEqual({
    content: [{ type: 'text', text: "search_tools takes a 'query', a text, and a 'limit' of 1 to 50." }],
    isError: true,
  });
});

test.each([
  ['is empty', ''],
  ['has only punctuation', '!!! ... ??? *'],
  ['has only words that say nothing', 'I want to'],
  ['is in nobody’s words', 'qqqqqqq'],
])('a query that %s finds nothing, and the model is told what to do', async (_, query) => {
  expect(await searchTools(open(everything), { query })).toEqual({
    content: [
      { type: 'text', text: '{"tools":[]}' },
      {
        type: 'text',
        text: 'Nothing fits. Try other words, in the language of the descriptions, such as what the tool works on.',
      },
    ],
    structuredContent: { tools: [] },
  });
});

test('of a very long query the beginning counts', async () => {
  expect((await found(`forecast ${'x'.repeat(1_000_000)}`))[0]).toBe('weather_forecast');
  expect(await found(`${'A'.repeat(1_000_000)} forecast`)).toEqual([]);
});

test('a tool that is not allowed is neither found nor described nor suggested', async () => {
  const search = { composition: everything, allowed: ({ tool }: ExposedTool) => tool !== 'create_issue' };
  const exact = await searchTools(search, { query: 'github_create_issue' });
  const loose = await searchTools(search, { query: 'create issue' });

  expect(JSON.stringify([exact, loose])).not.toContain('create_issue');
  expect(textOf(await describeTool(search, { name: 'github_create_issue' }))).toMatch(
    /^There is no tool 'github_create_issue'\. Did you mean (?!.*github_create_issue)/,
  );
});

test('a tool is described in full', async () => {
  const definition = everything.tools[0]?.definition;

  expect(await describeTool(open(everything), { name: 'github_create_issue' })).toEqual({
    content: [{ type: 'text', text: JSON.stringify(definition) }],
    structuredContent: definition,
  });
});

test('a name that means no tool leads to those that may have been meant', async () => {
  const result = await describeTool(open(everything), { name: 'githubCreateIssue' });

  expect(result['isError']).toBe(true);
  expect(textOf(result)).toMatch(/^There is no tool 'githubCreateIssue'\. Did you mean 'github_create_issue'/);
  expect(textOf(await unknownTool(open(everything), 'qqqqqqq'))).toBe(
    "There is no tool 'qqqqqqq'. Find tools with search_tools.",
  );
  expect(textOf(await unknownTool(open(everything), 'q'.repeat(1_000_000)))).toBe(
    `There is no tool '${'q'.repeat(240)}…'. Find tools with search_tools.`,
  );
  expect(textOf(await describeTool(open(everything), {}))).toBe("describe_tool takes a 'name', a text.");
});

test('a name that several upstreams have is told to be that', async () => {
  const offers = [tool('search')];
  const composition = composed({ slug: 'a', namePrefix: '', offers }, { slug: 'b', namePrefix: '', offers });

  expect(textOf(await describeTool(open(composition), { name: 'search' }))).toBe(
    "The tool 'search' cannot be called: several upstreams have it (a, b).",
  );
});

test('a tool whose upstream is down cannot be described now', async () => {
  const composition = composed({ slug: 'down', fails: 'Down.' }, github);

  expect(textOf(await describeTool(open(composition), { name: 'down_tool' }))).toBe(
    "The upstream of the tool 'down_tool' does not tell its tools at the moment. Try again later.",
  );
});

test('tools of upstreams that are called like the three of the gateway are found like others', async () => {
  const offers = SEARCH_TOOLS.map(({ name }) => tool(name, 'From upstream.'));
  const composition = composed({ slug: 'other', namePrefix: '', offers }, github);
  const result = await describeTool(open(composition), { name: 'call_tool' });

  expect(await found('call tool', composition)).toContain('call_tool');
  expect(result['structuredContent']).toEqual(offers[2]);
});

test('what call_tool is to call is read from its arguments', () => {
  const id = JSON.rawJSON('12345678901234567890');

  expect(readToolCall({ name: 'a', arguments: { id } })).toEqual({ name: 'a', arguments: { id } });
  expect(readToolCall({ name: 'call_tool' })).toEqual({ name: 'call_tool', arguments: undefined });
});

test.each([
  ['no arguments', undefined, "call_tool takes a 'name', a text, and 'arguments', an object."],
  ['no name', { arguments: {} }, "call_tool takes a 'name', a text, and 'arguments', an object."],
  ['an empty name', { name: '' }, "call_tool takes a 'name', a text, and 'arguments', an object."],
  [
    'arguments as text',
    { name: 'a', arguments: '{}' },
    "The 'arguments' of call_tool are an object, as describe_tool says of the tool.",
  ],
])('a call of call_tool with %s is refused', (_, args, text) => {
  expect(readToolCall(args)).toEqual({ refusal: { content: [{ type: 'text', text }], isError: true } });
});

test('viewers with the same tools share the index of them, and others do not', async () => {
  const one = composed(github, weather);
  const other = composed(weather, github);
  const index = await searchIndexOf(everything);

  expect(await searchIndexOf(everything)).toBe(index);
  expect(await searchIndexOf(one)).toBe(index);
  expect(await searchIndexOf(other)).not.toBe(index);
  expect(await searchIndexOf(composed(github))).not.toBe(index);
});

test('a catalogue without tools finds nothing', async () => {
  expect(await found('anything', composed({ slug: 'a' }))).toEqual([]);
});

test.each([
  ['create_issue', ['create', 'issue']],
  ['createIssueFromHTTPServer', ['create', 'issue', 'http', 'server']],
  ['files.read-all v2', ['file', 'read', 'all', 'v2']],
  ['queries access bus', ['query', 'access', 'bus']],
  ['Größe ändern', ['größe', 'ändern']],
  ['天气', ['天气']],
  ['查询天气 now', ['查询', '询天', '天气', 'now']],
  ['雨', ['雨']],
  ['the of a', []],
  ['', []],
])('the words of %j are %j', (text, terms) => {
  expect(searchTerms(text)).toEqual(terms);
});

import { expect, test } from 'vitest';
import type { Composition } from '../../src/catalogue/composition.ts';
import { composed, composedAlone, tool } from './composed-gateway.ts';

const github = { slug: 'github', offers: [tool('create_issue'), tool('search')] };
const jira = { slug: 'jira', offers: [tool('search')] };

const toolNames = ({ tools }: Composition) => tools.map(({ name }) => name);
const routeOf = (composition: Composition, name: string) => {
  const found = composition.findTool(name);
  return found && `${found.member.upstream.slug}: ${found.tool}`;
};

test('tools are listed in the order of the upstreams, and within one in its own', () => {
  expect(toolNames(composed(jira, github))).toEqual(['jira_search', 'github_create_issue', 'github_search']);
});

test('a name leads to the upstream that has the tool, and to its own name there', () => {
  const composition = composed(github, jira);

  expect(routeOf(composition, 'jira_search')).toBe('jira: search');
  expect(routeOf(composition, 'github_create_issue')).toBe('github: create_issue');
  expect(routeOf(composition, 'search')).toBeUndefined();
  expect(routeOf(composition, 'github_delete')).toBeUndefined();
  expect(routeOf(composition, 'github_')).toBeUndefined();
});

test('a listed tool comes with its definition, the JSON of it, and the schema of the upstream', () => {
  const inputSchema = { type: 'object', properties: { a: {}, b: {} } };
  const override = { name: 'open', fixedArguments: { a: 1 } };
  const offers = [{ name: 'create', inputSchema }];
  const found = composed({ slug: 'up', namePrefix: 'x', offers, overrides: { create: override } }).findTool('x_open');

  expect(found?.definition).toEqual({
    name: 'x_open',
    inputSchema: { type: 'object', properties: { b: {} } },
    _meta: { 'portcullis/upstream': 'up', 'portcullis/tool': 'create' },
  });
  expect(found?.json).toBe(JSON.stringify(found?.definition));
  expect(found?.inputSchema).toBe(inputSchema);
  expect(found?.override).toBe(override);
});

test('an override for a tool that the upstream does not have does nothing', () => {
  const overrides = { nothing: { name: 'x' }, constructor: { description: 'x' } };

  expect(toolNames(composed({ ...jira, overrides }, github))).toEqual([
    'jira_search',
    'github_create_issue',
    'github_search',
  ]);
});

test('tools called like properties of every object have no override', () => {
  const offers = [tool('constructor'), tool('__proto__'), tool('toString')];
  const composition = composed({ slug: 'a', offers }, jira);

  expect(composition.findTool('a_constructor')?.override).toBeUndefined();
  expect(toolNames(composition)).toEqual(['a_constructor', 'a___proto__', 'a_toString', 'jira_search']);
});

test('two versions of an upstream tell themselves apart by what is configured, and by their addresses', () => {
  const composition = composed(
    { ...jira, namePrefix: 'old' },
    { ...jira, version: 'v2', namePrefix: 'new', offers: [tool('x'.repeat(100))] },
  );

  expect(composition.tools[1]?.definition['_meta']).toEqual({
    'portcullis/upstream': 'jira@v2',
    'portcullis/tool': 'x'.repeat(100),
  });
});

test('a tool that the filter of the entry keeps out is not offered', () => {
  const toolFilter = { allowedTools: ['*'], deniedTools: ['create_*'] };
  const composition = composed({ ...github, toolFilter, fails: 'Down.' }, jira);

  expect(toolNames(composition)).toEqual(['github_search', 'jira_search']);
  expect(routeOf(composition, 'github_create_issue')).toBeUndefined();
  expect(routeOf(composition, 'github_create_pull')).toBeUndefined();
  expect(routeOf(composition, 'github_delete')).toBe('github: delete');
});

test('a name that two upstreams have is offered by neither, and the problem names both', () => {
  const composition = composed({ ...github, namePrefix: '' }, { ...jira, namePrefix: '' });
  const message =
    "The upstreams 'github' and 'jira' have a tool of the name 'search', so none of them is offered. Set a name_prefix that tells them apart.";

  expect(toolNames(composition)).toEqual(['create_issue']);
  expect(routeOf(composition, 'search')).toBeUndefined();
  expect(composition.clash('search')).toEqual(['github', 'jira']);
  expect(composition.clash('create_issue')).toBeUndefined();
  expect(composition.clash('unknown')).toBeUndefined();
  expect(composition.problems).toEqual([
    { upstream: 'github', name: 'search', message },
    { upstream: 'jira', name: 'search', message },
  ]);
});

test('prefixes that run into each other clash like any names', () => {
  const composition = composed(
    { slug: 'a', namePrefix: 'a', offers: [tool('b_c')] },
    { slug: 'b', namePrefix: 'a_b', offers: [tool('c'), tool('d')] },
  );

  expect(toolNames(composition)).toEqual(['a_b_d']);
  expect(composition.clash('a_b_c')).toEqual(['a', 'b']);
});

test('tools of one upstream that were renamed to the same name are not offered', () => {
  const overrides = { search: { name: 'create_issue' } };
  const composition = composed({ ...github, overrides }, jira);

  expect(toolNames(composition)).toEqual(['jira_search']);
  expect(composition.problems).toEqual([
    {
      upstream: 'github',
      name: 'github_create_issue',
      message:
        "Several tools of the upstream 'github' have the name 'github_create_issue', so none of them is offered. Rename them apart.",
    },
  ]);
});

test('a name that clashes stays refused while one of its upstreams is down', () => {
  const composition = composed({ ...github, namePrefix: '', fails: 'Down.' }, { ...jira, namePrefix: '' });

  expect(routeOf(composition, 'search')).toBeUndefined();
});

test('a tool that an upstream lists twice is offered once', () => {
  const offers = [tool('a', 'First.'), tool('b'), tool('a', 'Second.')];
  const composition = composed({ slug: 'up', offers }, jira);

  expect(toolNames(composition)).toEqual(['up_a', 'up_b', 'jira_search']);
  expect(composition.findTool('up_a')?.definition['description']).toBe('First.');
  expect(composition.problems).toEqual([]);
});

test('a definition of more than 512 KiB is left out and told, and the others stay', () => {
  const huge = { name: 'huge', inputSchema: { description: 'x'.repeat(1_048_576) } };
  const composition = composed({ slug: 'up', offers: [huge, tool('small')], fails: 'Down.' }, jira);

  expect(toolNames(composition)).toEqual(['up_small', 'jira_search']);
  expect(routeOf(composition, 'up_huge')).toBeUndefined();
  expect(composition.problems).toEqual([
    { upstream: 'up', name: undefined, message: 'Down.' },
    {
      upstream: 'up',
      name: 'up_huge',
      message:
        "The tool 'huge' of the upstream 'up' is not offered: its definition is larger than 512 KiB or nested too deeply.",
    },
  ]);
});

test('a tool name of 300 characters is shortened, and found', () => {
  const long = 'x'.repeat(300);
  const composition = composed({ slug: 'up', offers: [tool(long)] }, jira);
  const [name = ''] = toolNames(composition);

  expect(name).toHaveLength(64);
  expect(composition.findTool(name)?.tool).toBe(long);
});

test('an upstream whose lists are not known still gets calls of names with its prefix', () => {
  const composition = composed({ ...github, offers: [], fails: 'Down.' }, jira);

  expect(routeOf(composition, 'github_create_issue')).toBe('github: create_issue');
  expect(composition.findTool('github_create_issue')).toMatchObject({
    definition: { name: 'github_create_issue' },
    inputSchema: undefined,
  });
  expect(routeOf(composition, 'jira_create_issue')).toBeUndefined();
  expect(routeOf(composition, 'create_issue')).toBeUndefined();
});

test('what is known of a failing upstream stays offered', () => {
  const composition = composed({ ...github, fails: 'Only half of its tools could be read.' }, jira);

  expect(toolNames(composition)).toEqual(['github_create_issue', 'github_search', 'jira_search']);
  expect(composition.problems).toEqual([
    { upstream: 'github', name: undefined, message: 'Only half of its tools could be read.' },
  ]);
});

test('the overrides hold for tools whose upstream is down', () => {
  const overrides = { create: { name: 'open', fixedArguments: { owner: 'acme' } } };
  const composition = composed({ slug: 'github', overrides, fails: 'Down.' }, jira);

  expect(composition.findTool('github_open')).toMatchObject({ tool: 'create', override: overrides.create });
  expect(composition.findTool('github_create')).toBeUndefined();
});

test.each([
  ['belongs to the upstream that is down where another one with a fitting prefix is known', 'a_b_c', 'b: c'],
  ['belongs to the upstream of its prefix', 'a_x', undefined],
  ['with a prefix of none could only be of the one without prefix', 'x', 'bare: x'],
  ['that no list would show in this form is nobody’s', `a_b_${'x'.repeat(61)}`, undefined],
  ['of a length that a list would show is possible', `a_b_${'x'.repeat(60)}`, `b: ${'x'.repeat(60)}`],
])('an unknown name %s', (_, name, route) => {
  const composition = composed(
    { slug: 'a', namePrefix: 'a' },
    { slug: 'b', namePrefix: 'a_b', fails: 'Down.' },
    { slug: 'bare', namePrefix: '', fails: 'Down.' },
  );

  expect(routeOf(composition, name)).toBe(route);
});

test('an unknown name that two failing upstreams could have is nobody’s', () => {
  const composition = composed(
    { slug: 'a', namePrefix: 'a', fails: 'Down.' },
    { slug: 'b', namePrefix: 'a_b', fails: 'Down.' },
    { slug: 'c', namePrefix: '', fails: 'Down.' },
    { slug: 'd', namePrefix: '', fails: 'Down.' },
  );

  expect(routeOf(composition, 'a_b_c')).toBeUndefined();
  expect(routeOf(composition, 'x')).toBeUndefined();
});

test('a gateway of one upstream changes no names', () => {
  const offers = [tool('search'), tool('x'.repeat(300)), tool('odd name')];
  const composition = composed({ slug: 'jira', offers });

  expect(composition.tools.map(({ definition }) => definition)).toEqual(offers);
  expect(composition.tools[0]?.definition).toBe(offers[0]);
  expect(routeOf(composition, 'unknown')).toBeUndefined();
});

test('an upstream that is composed alone gets every name as it is', () => {
  const prompts = [{ name: 'review' }];
  const composition = composedAlone({ slug: 'jira', offers: [tool('search'), tool('x'.repeat(300))], prompts });

  expect(toolNames(composition)).toEqual(['search', 'x'.repeat(300)]);
  expect(routeOf(composition, 'search')).toBe('jira: search');
  expect(routeOf(composition, 'unknown')).toBe('jira: unknown');
  expect(composition.findPrompt('review')?.prompt).toBe('review');
  expect(composition.findPrompt('unknown')?.prompt).toBe('unknown');
  expect(composition.findResource('any://thing')?.upstreamUri).toBe('any://thing');
  expect(composition.findResourceTemplate('any://{x}')?.upstreamUri).toBe('any://{x}');
  expect(composition.clash('unknown')).toBeUndefined();
});

test('prompts are named, found and refused like tools', () => {
  const composition = composed(
    { slug: 'a', prompts: [{ name: 'review' }, { name: 'x'.repeat(100) }, { title: 'no name' }] },
    { slug: 'b', prompts: [{ name: 'review', description: 'x'.repeat(600_000) }], fails: 'Down.' },
    { slug: 'c', namePrefix: '', prompts: [{ name: 'same' }] },
    { slug: 'd', namePrefix: '', prompts: [{ name: 'same' }] },
  );

  expect(composition.prompts.map(({ name }) => name)).toEqual([
    'a_review',
    expect.stringMatching(/^a_x{53}_[0-9a-f]{8}$/),
  ]);
  expect(composition.prompts[0]?.json).toBe(
    '{"name":"a_review","_meta":{"portcullis/upstream":"a","portcullis/prompt":"review"}}',
  );
  expect(composition.findPrompt('a_review')).toMatchObject({ prompt: 'review', member: { upstream: { slug: 'a' } } });
  expect(composition.findPrompt('b_other')).toMatchObject({ prompt: 'other', member: { upstream: { slug: 'b' } } });
  expect(composition.findPrompt('a_other')).toBeUndefined();
  expect(composition.findPrompt('b_review')).toBeUndefined();
  expect(composition.findPrompt('same')).toBeUndefined();
  expect(composition.clash('same', 'prompt')).toEqual(['c', 'd']);
  expect(composition.clash('same')).toBeUndefined();
});

test('the lists of a composition are the same objects every time', () => {
  const composition = composed(github, jira);

  expect(composition.tools).toBe(composition.tools);
  expect(composition.prompts).toBe(composition.prompts);
  expect(composition.resources).toBe(composition.resources);
  expect(composition.resourceTemplates).toBe(composition.resourceTemplates);
  expect(composition.problems).toBe(composition.problems);
});

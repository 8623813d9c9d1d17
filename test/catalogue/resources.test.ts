import { expect, test } from 'vitest';
import type { Composition } from '../../src/catalogue/composition.ts';
import { composed } from './composed-gateway.ts';

const docs = {
  slug: 'docs',
  resources: [{ uri: 'docs://index' }, { uri: 'shared://readme', name: 'Of docs' }],
  resourceTemplates: [{ uriTemplate: 'docs://page/{id}' }, { uriTemplate: 'file:///{+path}' }],
};
const files = {
  slug: 'files',
  version: 'v2',
  resources: [{ uri: 'file:///a' }, { uri: 'shared://readme', name: 'Of files' }],
  resourceTemplates: [{ uriTemplate: 'file:///reports/{name}' }, { uriTemplate: 'shared://{x}' }],
};

const routeOf = (composition: Composition, uri: string) => {
  const found = composition.findResource(uri);
  return found && `${found.member.upstream.slug}: ${found.upstreamUri}`;
};
const templateRouteOf = (composition: Composition, template: string) => {
  const found = composition.findResourceTemplate(template);
  return found && `${found.member.upstream.slug}: ${found.upstreamUri}`;
};

test('resources keep their URIs, and those that several have are told apart by slug and version', () => {
  const composition = composed(docs, files);

  expect(composition.resources.map(({ definition }) => definition)).toEqual([
    { uri: 'docs://index' },
    { uri: 'docs+shared://readme', name: 'Of docs' },
    { uri: 'file:///a' },
    { uri: 'files@v2+shared://readme', name: 'Of files' },
  ]);
  expect(composition.resources[0]?.definition).toBe(docs.resources[0]);
  expect(composition.resources[1]?.json).toBe('{"uri":"docs+shared://readme","name":"Of docs"}');
  expect(composition.problems).toEqual([]);
});

test.each([
  ['listed by one upstream', 'file:///a', 'files: file:///a'],
  ['listed by several, with the slug', 'docs+shared://readme', 'docs: shared://readme'],
  ['listed by several, with slug and version', 'files@v2+shared://readme', 'files: shared://readme'],
  ['listed by several, without saying whose', 'shared://readme', undefined],
  ['with the slug of an upstream that does not list it', 'docs+any://thing', 'docs: any://thing'],
  ['with the slug but without the version', 'files+any://thing', undefined],
  ['that one template matches', 'docs://page/7', 'docs: docs://page/7'],
  ['that two templates match, by the one that fixes more of it', 'file:///reports/may', 'files: file:///reports/may'],
  ['that only the wider template matches', 'file:///reports/may/1', 'docs: file:///reports/may/1'],
  ['that nobody knows, where several have resources', 'other://thing', undefined],
])('a URI %s', (_, uri, route) => {
  expect(routeOf(composed(docs, files, { slug: 'tools' }), uri)).toBe(route);
});

test('a URI that nobody knows is of the only upstream with resources', () => {
  expect(routeOf(composed({ slug: 'a' }, { slug: 'b', capabilities: { resources: {} } }), 'x://y')).toBe('b: x://y');
  expect(routeOf(composed(docs, { slug: 'b', fails: 'Down.' }), 'x://y')).toBe('docs: x://y');
  expect(routeOf(composed({ slug: 'a' }, { slug: 'b', fails: 'Down.' }), 'x://y')).toBe('b: x://y');
  expect(routeOf(composed({ slug: 'a' }, { slug: 'b' }), 'x://y')).toBeUndefined();
});

test('a URI that templates of two upstreams mean equally needs the slug', () => {
  const resourceTemplates = [{ uriTemplate: 'file:///{+path}' }];
  const composition = composed({ slug: 'a', resourceTemplates }, { slug: 'b', resourceTemplates });

  expect(routeOf(composition, 'file:///x')).toBeUndefined();
  expect(routeOf(composition, 'b+file:///x')).toBe('b: file:///x');
  expect(composition.resourceTemplates.map(({ uri }) => uri)).toEqual(['a+file:///{+path}', 'b+file:///{+path}']);
});

test('a template leads to its upstream, for completion', () => {
  const composition = composed(docs, files, { slug: 'more', resourceTemplates: [{ uriTemplate: 'shared://{x}' }] });

  expect(templateRouteOf(composition, 'docs://page/{id}')).toBe('docs: docs://page/{id}');
  expect(templateRouteOf(composition, 'more+shared://{x}')).toBe('more: shared://{x}');
  expect(templateRouteOf(composition, 'shared://{x}')).toBeUndefined();
  expect(templateRouteOf(composition, 'unknown://{x}')).toBeUndefined();
  expect(templateRouteOf(composed(docs), 'unknown://{x}')).toBe('docs: unknown://{x}');
});

test('a resource whose URI looks like that of another upstream comes first, and what would be its double is told', () => {
  const composition = composed(
    { slug: 'a', resources: [{ uri: 'b+x://y' }, { uri: 'x://y' }] },
    { slug: 'b', resources: [{ uri: 'x://y' }] },
  );

  expect(composition.resources.map(({ uri }) => uri)).toEqual(['b+x://y', 'a+x://y']);
  expect(composition.problems).toEqual([
    {
      upstream: 'b',
      name: 'b+x://y',
      message: "A resource of the upstream 'b' is not offered: another upstream has one of this URI.",
    },
  ]);
});

test('a resource that is listed twice is offered once, and one that is too large not at all', () => {
  const uri = 'x://huge';
  const resources = [{ uri: 'x://a' }, { uri: 'x://a' }, { uri, description: 'x'.repeat(600_000) }, { name: 'no uri' }];
  const composition = composed({ slug: 'a', resources }, docs);

  expect(composition.resources.slice(0, 2).map(({ uri }) => uri)).toEqual(['x://a', 'docs://index']);
  expect(composition.problems).toEqual([
    {
      upstream: 'a',
      name: 'x://huge',
      message:
        "A resource of the upstream 'a' is not offered: its definition is larger than 512 KiB or nested too deeply.",
    },
  ]);
});

test('templates that cost too much to match are given up, and only those of their own upstream', () => {
  const costly = Array.from({ length: 50 }, (_, at) => ({ uriTemplate: `{+a}${'aaaa{+b}'.repeat(30)}${at}` }));
  const uriTemplate = 'docs://page/{id}';
  const composition = composed({ slug: 'evil', resourceTemplates: [...costly, { uriTemplate }] }, docs);
  const uri = `docs://page/${'a'.repeat(4000)}`;

  // A URI that both upstreams' templates match would be nobody's.
  expect(routeOf(composition, uri)).toBe(`docs: ${uri}`);
  expect(routeOf(composition, 'docs://page/a')).toBeUndefined();
});

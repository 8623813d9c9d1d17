import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CursorScope, createCursor, readCursor } from '../../src/catalogue/cursor.ts';
import { type ListItem, listPage } from '../../src/catalogue/pages.ts';

const scope: CursorScope = { targetId: 'gateway-1', kind: 'tools' };

function item(name: string, size = 0): ListItem & { readonly name: string } {
  const definition = { name, ...(size === 0 ? {} : { description: 'x'.repeat(size) }) };
  return { name, definition, json: JSON.stringify(definition) };
}

/** The names on each page, as a client gets them that follows the cursors. */
function walk(items: readonly ListItem[]): string[][] {
  const pages: string[][] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const { json, nextCursor } = listPage(scope, items, readCursor(scope, cursor));
    pages.push(JSON.parse(json).map(({ name }: { name: string }) => name));
    cursor = nextCursor;
  }
  return pages;
}

test('a cursor leads to its position, in the list that it was given for', () => {
  const position = { after: 'github_create_issue', index: 3 };
  const cursor = createCursor(scope, position);

  expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
  expect(readCursor(scope, cursor)).toEqual(position);
  expect(readCursor({ ...scope, kind: 'prompts' }, cursor)).toBeUndefined();
  expect(readCursor({ ...scope, targetId: 'gateway-2' }, cursor)).toBeUndefined();
  expect(readCursor(scope, '')).toBe('first');
});

test.each([
  ['a text', 'nonsense'],
  ['one character', 'A'],
  ['a text with padding', `${createCursor(scope, { after: 'a', index: 1 })}=`],
  ['a cut text', createCursor(scope, { after: 'a', index: 1 }).slice(0, -2)],
  ['no base64', '💥'],
])('a cursor that is %s is none', (_, cursor) => {
  expect(readCursor(scope, cursor)).toBeUndefined();
});

test('no text but a cursor is taken for one', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 200 }), (text) => {
      expect(readCursor(scope, text)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (after, index) => {
      expect(readCursor(scope, createCursor(scope, { after, index }))).toEqual({ after, index });
    }),
  );
});

test('a short list is one page', () => {
  expect(listPage(scope, [item('a'), item('b')])).toEqual({ json: '[{"name":"a"},{"name":"b"}]' });
  expect(listPage(scope, [])).toEqual({ json: '[]' });
});

test('a long list comes in pages of at most 4 MiB', () => {
  // 500,021 bytes each: eight fit into 4 MiB, and nine do not.
  const items = Array.from({ length: 20 }, (_, at) => item(`tool${String(at).padStart(2, '0')}`, 499_980));

  expect(walk(items).map((page) => [page.length, page[0]])).toEqual([
    [8, 'tool00'],
    [8, 'tool08'],
    [4, 'tool16'],
  ]);
});

test('the size of a page is that in UTF-8', () => {
  const wide = '€'.repeat(166_000);
  const items = Array.from({ length: 10 }, (_, at) => ({ name: `t${at}`, definition: { name: `t${at}`, wide } }));

  expect(walk(items).map((page) => page.length)).toEqual([8, 2]);
});

test('an item that is larger than a page has a page of its own', () => {
  expect(walk([item('a'), item('b', 5_000_000), item('c')])).toEqual([['a'], ['b'], ['c']]);
});

test('the text of a page is made once for a list', () => {
  let made = 0;
  const definition = {
    name: 'a',
    toJSON: () => {
      made++;
      return { name: 'a' };
    },
  };
  const items = [{ name: 'a', definition }];
  listPage(scope, items);
  const before = made;
  listPage(scope, items, 'first');

  expect(before).toBeGreaterThan(0);
  expect(made).toBe(before);
});

test('a list that changed goes on behind the last item that the client got', () => {
  const before = ['a', 'b', 'c', 'd'].map((name) => item(name));
  const cursor = createCursor(scope, { after: 'b', index: 2 });
  const goOn = (items: readonly ListItem[]) => listPage(scope, items, readCursor(scope, cursor)).json;

  expect(goOn(before)).toBe('[{"name":"c"},{"name":"d"}]');
  expect(goOn([item('new'), ...before])).toBe('[{"name":"c"},{"name":"d"}]');
  expect(goOn(before.slice(1))).toBe('[{"name":"c"},{"name":"d"}]');
  expect(goOn([item('a'), item('c'), item('d')])).toBe('[{"name":"d"}]');
  expect(goOn([item('a')])).toBe('[]');
});

test('resources go on by their URI', () => {
  const items = [
    { uri: 'x://a', definition: { uri: 'x://a' } },
    { uri: 'x://b', definition: { uri: 'x://b' } },
  ];

  expect(listPage({ ...scope, kind: 'resources' }, items, { after: 'x://a', index: 7 })).toEqual({
    json: '[{"uri":"x://b"}]',
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseUriTemplate } from '../../src/catalogue/uri-template.ts';

const matches = (template: string, uri: string) => parseUriTemplate(template)?.matches(uri, { left: 1e9 });

test.each([
  ['test://template/{id}/data', ['test://template/1/data', 'test://template/a%20b/data', 'test://template/ü,1/data']],
  ['x://{a}-{b}', ['x://1-2', 'x://1-2-3']],
  ['x://{a,b}', ['x://1,2', 'x://1']],
  ['x://{name:3}', ['x://abc']],
  ['file:///{+path}', ['file:///a/b?c#d', 'file:///a']],
  ['file:///{path*}', ['file:///a/b/c']],
  ['x://a{#part}', ['x://a', 'x://a#b/c']],
  ['x://a{.ext}', ['x://a', 'x://a.', 'x://a.tar.gz']],
  ['x://a{/b,c}', ['x://a', 'x://a/1', 'x://a/1/2', 'x://a//2']],
  ['x://a{/b*}', ['x://a', 'x://a/1/2/3']],
  ['x://a{;p,q}', ['x://a', 'x://a;p=1;q=2']],
  [
    'x://a{?from,to}',
    ['x://a', 'x://a?from=1', 'x://a?to=2', 'x://a?from=1&to=2', 'x://a?to=2&from=1', 'x://a?from', 'x://a?from='],
  ],
  ['x://a?fixed=1{&b}', ['x://a?fixed=1', 'x://a?fixed=1&b=2']],
  ['x://a{?filter*}', ['x://a', 'x://a?anything=1&more=2']],
  ['x://a{?b}{#c}', ['x://a?b=1#top', 'x://a#top', 'x://a?b=#']],
  ['plain://text', ['plain://text']],
])('%s can become %j', (template, uris) => {
  expect(uris.filter((uri) => !matches(template, uri))).toEqual([]);
});

test.each([
  ['test://template/{id}/data', ['test://template//data', 'test://template/a/b/data', 'test://template/1/data/x', 'x']],
  ['x://{id}', ['x://', 'x://a?b', 'x://a#b', 'y://a']],
  ['file:///{+path}', ['file:///', 'file://a']],
  ['x://a{#part}', ['x://ab', 'x://b#a']],
  ['x://a{.ext}', ['x://ab', 'x://a.b/c']],
  ['x://a{/b,c}', ['x://ab', 'x://a/1/2/3', 'x://a/1?x']],
  [
    'x://a{?from,to}',
    ['x://a?other=1', 'x://a?from=1&other=2', 'x://a?fromx=1', 'x://a?', 'x://a&from=1', 'x://a?from=1#x'],
  ],
  ['x://a?fixed=1{&b}', ['x://a?fixed=1?b=2', 'x://a?b=2']],
])('%s cannot become %j', (template, uris) => {
  expect(uris.filter((uri) => matches(template, uri))).toEqual([]);
});

test.each([
  ['an expression that does not end', 'x://{a'],
  ['an end without beginning', 'x://a}'],
  ['braces in braces', 'x://{a{b}}'],
  ['closing before opening', 'x://}a{'],
  ['an empty expression', 'x://{}'],
  ['an operator that is reserved', 'x://{=a}'],
  ['a name with a space', 'x://{a b}'],
  ['1,025 characters', 'x'.repeat(1025)],
  ['33 variables', `x://${'{a}'.repeat(33)}`],
])('%s makes no template', (_, template) => {
  expect(parseUriTemplate(template)).toBeUndefined();
});

test('what a template fixes are the characters outside of expressions', () => {
  expect(parseUriTemplate('x://{a}/b{?c}')?.fixedLength).toBe(6);
});

test('a match that would cost more than is left is none, and spends what is left', () => {
  const budget = { left: 100 };

  expect(parseUriTemplate('y://{a}')?.matches('x://aaaa', budget)).toBe(false);
  expect(budget.left).toBe(100);
  expect(parseUriTemplate('x://{a}')?.matches('x://aaaa', budget)).toBe(true);
  expect(budget.left).toBe(44);
  expect(parseUriTemplate('x://{a}')?.matches('x://aaaa', budget)).toBe(false);
});

const anyPiece = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '/', '?', '&', '=', '.', '#', ';'), minLength: 1, maxLength: 4 }),
  fc
    .tuple(fc.constantFrom('', '+', '#', '.', '/', ';', '?', '&'), fc.constantFrom('a', 'b', 'a,b', 'a*'))
    .map(([operator, names]) => `{${operator}${names}}`),
);
const anyTemplate = fc.array(anyPiece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join(''));

/** RFC 6570, section 3.2, for values that need no encoding. */
function expand(template: string, values: Readonly<Record<string, string | undefined>>): string {
  return template.replace(/\{([+#./;?&]?)([^}]+)\}/g, (_, operator: string, list: string) => {
    const names = list.split(',').map((name) => name.replace('*', ''));
    const defined = names.filter((name) => values[name] !== undefined);
    if (defined.length === 0) return '';
    const isNamed = ';?&'.includes(operator) && operator !== '';
    const parts = defined.map((name) => (isNamed ? `${name}=${values[name]}` : `${values[name]}`));
    const separator = { '': ',', '+': ',', '#': ',', '?': '&' }[operator] ?? operator;
    return `${operator === '+' ? '' : operator}${parts.join(separator)}`;
  });
}

test('whatever a template is expanded to, it matches', () => {
  const value = fc.string({ unit: fc.constantFrom('x', 'y', '1', '-', '%20'), minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(anyTemplate, value, value, (template, a, b) => {
      expect(matches(template, expand(template, { a, b }))).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test('matching takes time in proportion to the URI, whatever template and URI are made to do', () => {
  fc.assert(
    fc.property(anyTemplate, fc.constantFrom('a', 'a/', '?a=', '&a', 'a.', '/?#&;=a', '?'), (template, piece) => {
      const uri = piece.repeat(20_000 / piece.length);
      const start = performance.now();
      matches(template.repeat(3), uri);

      // Not a measurement: a matcher that goes back and forth does not end at all.
      expect(performance.now() - start).toBeLessThan(1000);
    }),
    { numRuns: 200 },
  );
});

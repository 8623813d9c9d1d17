import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RE2JS } from '@bufbuild/re2';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBudget } from '../../src/policy/budget.ts';
import { compileRegex, type Matcher } from '../../src/policy/regex.ts';

describe('what RE2 does not take is refused', () => {
  test.each([
    ['(', 'the regular expression is no RE2 expression: missing closing ): `(`'],
    ['a**', 'the regular expression is no RE2 expression: invalid nested repetition operator: `**`'],
    ['(?=a)', 'the regular expression is no RE2 expression: invalid or unsupported Perl syntax: `(?=`'],
    [String.raw`(a)\1`, String.raw`the regular expression is no RE2 expression: invalid escape sequence: ${'`\\1`'}`],
    ['a{1001}', 'the regular expression is no RE2 expression: invalid repeat count: `{1001}`'],
    ['(((a{100}){100}){100})', 'the regular expression is no RE2 expression: invalid repeat count: `{100}`'],
    ['.{1000}.{1000}.{1000}', 'the regular expression is too large, because its repetitions multiply'],
  ])('%s', (pattern, message) => {
    expect(() => compileRegex(pattern)).toThrow(expect.objectContaining({ reason: 'validation_failed', message }));
  });
});

test('a pattern is at most 256 characters long', () => {
  expect(() => compileRegex('x'.repeat(257))).toThrow('the regular expression is longer than 256 characters');
  expect(compileRegex('x'.repeat(256))('x'.repeat(256))).toBe(true);
});

const long = 1_000_000;

describe('a match ends soon, whatever the pattern and the text', () => {
  test.each([
    ['(a+)+$', `${'a'.repeat(long)}!`],
    [String.raw`^(\S+\s*)*$`, `${'a'.repeat(long)}\n!`],
    ['(x+x+)+[yz]', 'x'.repeat(long)],
    ['(?:a?){600}a{600}', 'a'.repeat(long)],
    ['(?:.?){250}$', 'a'.repeat(long)],
    [String.raw`(?:\b.?){250}[xy]`, 'a '.repeat(long / 2)],
    ['[ab]*a[ab]{100}$', randomText(long)],
    ['[ab]*a[ab]{900}$', randomText(long)],
    ['.{0,900}[xy]', randomText(long)],
    ['a.{0,400}b.{0,400}[xy]', randomText(long)],
    ['(?i)(select|insert|drop)x', differentCharacters(long / 4)],
  ])('%s', (pattern, text) => {
    const matches = compileRegex(pattern);
    const start = performance.now();

    matches(text);

    expect(performance.now() - start).toBeLessThan(2000);
  });
});

test('a text of a million characters is matched', () => {
  expect(compileRegex('^[a-z]+$')('b'.repeat(1_000_000))).toBe(true);
  expect(compileRegex(String.raw`(?i)\b(?:select|drop)\b`)(`${'b '.repeat(500_000)}DROP`)).toBe(true);
});

test('a text that needs too many states is neither a match nor none, and spoils nothing for the texts after it', () => {
  const matches = compileRegex('[ab]*a[ab]{100}$');

  for (let run = 0; run < 3; run++) {
    expect(matches(randomText(100_000))).toBeUndefined();
    expect(matches(`a${'b'.repeat(100)}`)).toBe(true);
    expect(matches(`b${'b'.repeat(100)}`)).toBe(false);
  }
});

describe('what a text costs does not depend on the texts before it', () => {
  const spent = (matches: Matcher, text: string) => {
    const budget = createBudget();
    const { left } = budget;
    return [matches(text, budget), left - budget.left];
  };

  test.each(['(?i)a.{0,60}[é-ü].{0,60}[xy]', String.raw`\b[ab]+[^a]\b.{20}x$`, 'a.{40}x', '^[^x]*$'])(
    '%s',
    (pattern) => {
      const random = mixedText(6000);
      const texts = Array.from({ length: 30 }, (_, index) => random.slice((index * 91) % 500, 200 * (index + 1)));
      const cold = texts.map((text) => spent(compileRegex(pattern), text));
      const used = compileRegex(pattern);

      expect(texts.map((text) => spent(used, text))).toEqual(cold);
      expect(texts.toReversed().map((text) => spent(used, text))).toEqual(cold.toReversed());
      for (const [index, text] of texts.entries()) {
        used(random.slice(0, 300));
        expect(spent(used, text)).toEqual(cold[index]);
      }
    },
  );
});

test('one decision pays for a step once', () => {
  const matches = compileRegex('^[A-Z0-9-]{1,20}$');
  const budget = createBudget();
  const { left } = budget;
  for (let index = 0; index < 10_000; index++) matches('SKU-1', budget);

  expect(left - budget.left).toBeLessThan(30_000);
});

test('memory does not grow with the characters that were seen', () => {
  const matches = compileRegex('[^x]*x');
  matches(differentCharacters(50_000));
  const before = heapUsed();

  for (let run = 1; run < 10; run++) matches(differentCharacters(50_000, run * 50_000));

  expect(heapUsed() - before).toBeLessThan(3_000_000);
});

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

describe('the automaton finds what others find', () => {
  const anchors = ['^', '$', String.raw`\b`, String.raw`\B`];
  const atom = fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', String.raw`\d`, String.raw`\w`, 'é', '(a|)', '(?:|b)', ...anchors); // biome-ignore format: a list
  const part = fc
    .tuple(atom, fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '*?'))
    .map(([one, quantifier]) => (anchors.includes(one) ? one : one + quantifier));
  const sequence = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
  const pattern = fc
    .tuple(sequence, sequence, fc.constantFrom('%1', '%1|%2', '(%1)+%2', '%1(%2|b)*', '%1(?:%2){2}'))
    .map(([one, two, form]) => form.replace('%1', () => one).replace('%2', () => two));
  const unit = fc.constantFrom('a', 'b', 'c', 'é', '1', ' ', '\n', '_', 'A');
  const text = fc.string({ unit, maxLength: 8 });

  test('as ECMAScript', () => {
    fc.assert(
      fc.property(pattern, fc.constantFrom('', 'i', 's'), text, (source, flags, input) => {
        const expected = new RegExp(source, `${flags}u`).test(input);

        expect(compileRegex(flags === '' ? source : `(?${flags})${source}`)(input)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test('as the package, with characters beyond the basic plane and lines', () => {
    const anyText = fc.string({ unit: fc.oneof(unit, fc.constantFrom('😀', '\ud800', '\udc00')), maxLength: 8 });
    fc.assert(
      fc.property(pattern, fc.constantFrom('', '(?m)', '(?im)'), anyText, (source, flags, input) => {
        expect(compileRegex(flags + source)(input)).toBe(RE2JS.compile(flags + source).test(input));
      }),
      { numRuns: 5000 },
    );
  });

  test('however small the pieces in which its states are dropped', () => {
    const matches = compileRegex('a.{0,400}b.{0,400}c');

    for (let length = 0; length < 3000; length += 97) {
      expect(matches(`${'xy'.repeat(length)}a${'x'.repeat(length % 401)}b${'y'.repeat(length % 399)}c`)).toBe(true);
      expect(matches(`${'xy'.repeat(length)}a${'x'.repeat(401)}b${'y'.repeat(length % 399)}c`)).toBe(false);
    }
  });
});

function randomText(length: number): string {
  let seed = 1;
  return Array.from({ length }, () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % 2 === 0 ? 'a' : 'b';
  }).join('');
}

function mixedText(length: number): string {
  let seed = 1;
  return Array.from({ length }, () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return String.fromCodePoint([0x61, 0x62, 0xe9, 0x400 + (seed % 300)][(seed >> 5) % 4] ?? 0);
  }).join('');
}

function differentCharacters(count: number, from = 0): string {
  return Array.from({ length: count }, (_, index) => String.fromCodePoint(0x10000 + ((from + index) % 0xfffff))).join(
    '',
  );
}

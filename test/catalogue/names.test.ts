import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exposedName } from '../../src/catalogue/names.ts';

const github = { address: 'github', prefix: 'github_', isOnly: false };
const unprefixed = { address: 'github', prefix: '', isOnly: false };
const only = { address: 'github', prefix: '', isOnly: true };

test('a name gets the prefix of its upstream', () => {
  expect(exposedName(github, 'create_issue')).toBe('github_create_issue');
  expect(exposedName(github, 'create_issue', 'open')).toBe('github_open');
  expect(exposedName(unprefixed, 'create_issue')).toBe('create_issue');
  expect(exposedName(unprefixed, 'create issue')).toBe('create issue');
});

test('a name of 64 characters stays, one of 65 is shortened with a digest of upstream and name', () => {
  expect(exposedName(github, 'a'.repeat(57))).toBe(`github_${'a'.repeat(57)}`);
  // SHA-256 of "github", a null character, and 58 times "a".
  expect(exposedName(github, 'a'.repeat(58))).toBe(`github_${'a'.repeat(48)}_4470ce26`);
  expect(exposedName(unprefixed, 'a'.repeat(65))).toMatch(/^a{55}_[0-9a-f]{8}$/);
});

test('a name of 300 characters that is cut at the same place as another gets another digest', () => {
  const one = exposedName(github, `${'x'.repeat(299)}1`);
  const other = exposedName(github, `${'x'.repeat(299)}2`);

  expect(one).toMatch(/^github_x{48}_[0-9a-f]{8}$/);
  expect(other).not.toBe(one);
  expect(exposedName({ ...github, address: 'github@v2' }, `${'x'.repeat(299)}1`)).not.toBe(one);
});

test('characters that model APIs refuse are replaced, and a digest keeps such names apart', () => {
  const one = exposedName(github, 'create issue/ü');
  const other = exposedName(github, 'create_issue ü');

  expect(one).toMatch(/^github_create_issue___[0-9a-f]{8}$/);
  expect(other).toMatch(/^github_create_issue___[0-9a-f]{8}$/);
  expect(other).not.toBe(one);
});

test('a rename does not change the digest, which is of the name at the upstream', () => {
  const long = 'r'.repeat(128);

  expect(exposedName(github, 'a', long).slice(-8)).toBe(exposedName(github, 'a', `${long}s`).slice(-8));
});

test('the names of an upstream that is alone are never changed, unless it is configured', () => {
  expect(exposedName(only, 'ü'.repeat(300))).toBe('ü'.repeat(300));
  expect(exposedName(only, 'create issue')).toBe('create issue');
  expect(exposedName(only, 'create issue', 'create_issue')).toBe('create_issue');
  expect(exposedName({ ...only, prefix: 'gh_' }, 'create')).toBe('gh_create');
});

const anyName = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 120 }),
  fc.string({ unit: fc.constantFrom('a', 'b', '_', '.', '-', ' ', 'é', '😀'), minLength: 1, maxLength: 120 }),
);
const anyPrefix = fc.constantFrom('a_', 'a_b_', 'a-b_', 'x'.repeat(32).concat('_'));

test('prefixed names are always good for models and the same every time', () => {
  fc.assert(
    fc.property(anyPrefix, anyName, fc.option(anyName, { nil: undefined }), (prefix, name, rename) => {
      const exposed = exposedName({ address: 'up', prefix, isOnly: false }, name, rename);

      expect(exposed).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
      expect(exposedName({ address: 'up', prefix, isOnly: false }, name, rename)).toBe(exposed);
    }),
    { numRuns: 3000 },
  );
});

test('different names of an upstream stay different', () => {
  fc.assert(
    fc.property(anyPrefix, fc.uniqueArray(anyName, { maxLength: 50 }), (prefix, names) => {
      const exposed = names.map((name) => exposedName({ address: 'up', prefix, isOnly: false }, name));

      expect(new Set(exposed).size).toBe(names.length);
    }),
    { numRuns: 500 },
  );
});

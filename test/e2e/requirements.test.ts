import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { requirements } from './requirements.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Path and text of every test file. */
const files = ['test', 'sdk/test'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => ({ path: join(folder, name), text: readFileSync(join(ROOT, folder, name), 'utf8') })),
);

/** Ids in the names of tests, that is, at the begin of the text after `test(` or `it(`. */
const cited = new Set(
  files.flatMap(({ text }) =>
    [...text.matchAll(/\b(?:test|it)(?:\.\w+)*\(\s*['"`]\[([A-Z0-9-]+-[A-Z0-9-]+)\]/g)].map(([, id]) => id ?? ''),
  ),
);

test('the requirements have ids of their own', () => {
  const ids = requirements.map(({ id }) => id);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

test('every requirement is cited by a test', () => {
  const bare = requirements.filter(({ id, citedBy = [] }) => !cited.has(id) && citedBy.length === 0);
  expect(bare.map(({ id }) => id)).toEqual([]);
});

test('every citation is of a requirement', () => {
  const known = new Set(requirements.map(({ id }) => id));
  expect([...cited].filter((id) => !known.has(id))).toEqual([]);
});

describe('a proof that does not cite its requirement', () => {
  for (const { id, citedBy = [] } of requirements) {
    for (const citation of citedBy) {
      test(`exists: ${id} by ${citation}`, () => {
        const [, path = '', name = ''] = /^(\S+): (.*)$/.exec(citation) ?? [];
        const text = readFileSync(join(ROOT, path), 'utf8').replaceAll("\\'", "'");
        expect(text).toContain(name);
        expect(name).not.toBe('');
      });
    }
  }
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { playCase } from './play-case.ts';
import { type GoldenCase, readCase } from './read-case.ts';
import { readAll } from './read-fields.ts';

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .sort();

describe.each(files)('%s', (file) => {
  test.each(loadCases(file))('$name', async (golden) => {
    const { verdict, state, record } = playCase(golden);

    expect({
      decision: pick(verdict, Object.keys(golden.decision)),
      ...(golden.stateAfter !== undefined && { stateAfter: state.valuesAt(golden.now) }),
      ...(golden.record !== undefined && { record: await record() }),
    }).toEqual(pick(golden, ['decision', 'stateAfter', 'record']));
  });
});

test('there are golden cases, each with a name of its own', () => {
  const names = files.flatMap((file) => loadCases(file).map(({ name }) => `${file}: ${name}`));

  expect(names.length).toBeGreaterThanOrEqual(478);
  expect(names.length).toBe(new Set(names).size);
});

/** The fields of those names that are there. */
function pick(from: object, names: readonly string[]): Mapping {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

interface File {
  readonly shared?: Mapping;
  readonly cases: readonly Mapping[];
}

type Mapping = Readonly<Record<string, unknown>>;

function loadCases(file: string): GoldenCase[] {
  const { shared = {}, cases } = parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as File;
  return cases.map((golden, index) => readAll(withShared(golden, shared), `${file}: case ${index + 1}`, readCase));
}

/** What a case does not say itself, the file says for all; of `call` and of earlier calls each field by itself. */
function withShared(golden: Mapping, shared: Mapping): Mapping {
  const callOf = (call: unknown) => ({ ...(shared['call'] as Mapping), ...(call as Mapping) });
  const state = golden['state'] as readonly Mapping[] | undefined;
  return {
    ...shared,
    ...golden,
    call: callOf(golden['call']),
    ...(state !== undefined && {
      state: state.map((entry) => ('call' in entry ? { ...entry, call: callOf(entry['call']) } : entry)),
    }),
    ...(golden['record'] !== undefined && {
      record: withoutNulls({ ...(shared['record'] as Mapping), ...(golden['record'] as Mapping) }),
    }),
  };
}

function withoutNulls(fields: Mapping): Mapping {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

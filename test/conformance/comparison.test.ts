import { expect, test } from 'vitest';
import { compareChecks, formatDifferences } from './comparison.ts';
import { type Check, parseChecks } from './suite.ts';

const check = (id: string, status: Check['status'], message?: string): Check => ({
  scenario: 'ping',
  id,
  status,
  ...(message === undefined ? {} : { message }),
});

test('runs with the same outcomes have no differences, also where both fail', () => {
  const run = [check('a', 'SUCCESS'), check('b', 'FAILURE', 'no answer')];

  expect(compareChecks(run, [check('b', 'FAILURE', 'other words'), check('a', 'SUCCESS')])).toEqual([]);
});

test('a check with another outcome is a difference, for the better too', () => {
  expect(
    compareChecks(
      [check('a', 'SUCCESS'), check('b', 'WARNING', 'slow')],
      [check('a', 'FAILURE', 'got 404'), check('b', 'SUCCESS')],
    ),
  ).toEqual([
    { scenario: 'ping', id: 'a', fixture: 'SUCCESS', gateway: 'FAILURE', message: 'got 404' },
    { scenario: 'ping', id: 'b', fixture: 'WARNING', gateway: 'SUCCESS', message: 'slow' },
  ]);
});

test('a check that only one run has is a difference', () => {
  expect(compareChecks([check('a', 'SUCCESS')], [check('b', 'INFO')])).toEqual([
    { scenario: 'ping', id: 'a', fixture: 'SUCCESS', gateway: 'absent', message: '' },
    { scenario: 'ping', id: 'b', fixture: 'absent', gateway: 'INFO', message: '' },
  ]);
});

test('the table of differences is aligned and has one line each', () => {
  const table = formatDifferences([
    { scenario: 'ping', id: 'a', fixture: 'SUCCESS', gateway: 'FAILURE', message: 'two\nlines' },
  ]);

  expect(table).toBe('scenario  check  fixture  gateway  message\nping      a      SUCCESS  FAILURE  two lines');
});

test('repeated check ids are numbered, so that each occurrence is compared with its own', () => {
  const json = JSON.stringify([
    { id: 'a', status: 'SUCCESS', timestamp: '2026-01-01T00:00:00Z' },
    { id: 'a', status: 'FAILURE', errorMessage: 'second' },
  ]);

  expect(parseChecks('ping', json)).toEqual([
    { scenario: 'ping', id: 'a', status: 'SUCCESS' },
    { scenario: 'ping', id: 'a#2', status: 'FAILURE', message: 'second' },
  ]);
});

test('a scenario that left no results is one failed check', () => {
  expect(parseChecks('ping', undefined)).toEqual([
    { scenario: 'ping', id: 'scenario-ran', status: 'FAILURE', message: 'The scenario threw' },
  ]);
});

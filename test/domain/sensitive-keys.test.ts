import { expect, test } from 'vitest';
import { createKeyRedaction } from '../../src/domain/sensitive-keys.ts';

test('names that hold one of the words are sensitive', () => {
  const isSensitive = createKeyRedaction([]);
  const sensitive = [
    'password', 'PASSWORD', 'user_password', 'passwd', 'client-secret', 'Token', 'nextToken', 'key', 'KEY', 'credential',
    'credentials', 'Authorization', 'api_key', 'apiKey', 'x-api-key', 'access_token', 'refreshToken', 'AWS_ACCESS_KEY_ID',
    'private key', 'pass_word', 'to\u212aen',
  ]; // biome-ignore format: a list

  expect(sensitive.filter((key) => !isSensitive(key))).toEqual([]);
});

test('other names are not', () => {
  const isSensitive = createKeyRedaction([]);

  expect(
    ['', 'keyboard', 'monkey', 'keys', 'pass', 'author', 'secre', 'constructor', '__proto__'].filter(isSensitive),
  ).toEqual([]);
});

test('further names are sensitive as a whole, whatever their case and separators', () => {
  const isSensitive = createKeyRedaction(['Account-Number', 'pin', ' ']);

  expect(['account_number', 'ACCOUNTNUMBER', 'Pin', 'p_i_n'].every(isSensitive)).toBe(true);
  expect(['account', 'spinner', '', ' ', '-'].some(isSensitive)).toBe(false);
});

test('the test is made once for each list', () => {
  const names = ['pin'];

  expect(createKeyRedaction(names)).toBe(createKeyRedaction(names));
});

test('answers stay right after thousands of names', () => {
  const isSensitive = createKeyRedaction(['pin']);
  for (let index = 0; index < 10_000; index++) isSensitive(`name${index}`);

  expect(isSensitive('pin') && isSensitive('password') && isSensitive(`${'x'.repeat(100)}password`)).toBe(true);
  expect(isSensitive('name1')).toBe(false);
});

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keepSecretKeyInFile } from '../../src/config/secret-key-file.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-key-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('makes up a key once, readable by the owner only', () => {
  const dataDir = join(folder, 'data');
  const key = keepSecretKeyInFile(dataDir);
  expect(key).toMatch(/^[\w-]{43}$/);
  expect(keepSecretKeyInFile(dataDir)).toBe(key);
  expect(readFileSync(join(dataDir, 'secret.key'), 'utf8')).toBe(`${key}\n`);
  expect(statSync(join(dataDir, 'secret.key')).mode & 0o777).toBe(0o600);
  expect(readdirSync(dataDir)).toStrictEqual(['secret.key']);
});

it('gives processes that start at once the same key', async () => {
  const module = new URL('../../src/config/secret-key-file.ts', import.meta.url);
  const script = `import { keepSecretKeyInFile } from '${module}'; console.log(keepSecretKeyInFile(process.argv[1]));`;
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, join(folder, 'data')]);
  const outputs = await Promise.all([run(), run(), run(), run()]);
  expect(new Set(outputs.map(({ stdout }) => stdout)).size).toBe(1);
});

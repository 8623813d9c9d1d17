import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Path of the file that holds the made-up secret key of an embedded installation. */
export function secretKeyFileIn(dataDir: string): string {
  return join(dataDir, 'secret.key');
}

/**
 * The secret key kept in the data folder, made up on first use (256 bits, file mode 0600, on disk before it is used). Processes that
 * start at once all get the same key. Throws the file system's error.
 */
export function keepSecretKeyInFile(dataDir: string): string {
  const path = secretKeyFileIn(dataDir);
  return readIfThere(path) ?? createKeyFile(dataDir, path);
}

function createKeyFile(dataDir: string, path: string): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeDurably(draft, `${randomBytes(32).toString('base64url')}\n`);
  try {
    // A link appears whole or not at all, and never replaces the key of a process that was faster.
    linkSync(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) {
      throw error;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(dataDir);
  return readFileSync(path, 'utf8').trim();
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      return undefined;
    }
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

import { hash } from 'node:crypto';
import type { RecordedArguments } from '../domain/project.ts';
import { createKeyRedaction, type IsSensitiveKey, MASK } from '../domain/sensitive-keys.ts';
import { canonicalJson } from './canonical-json.ts';

/** What a Decision keeps of a call's arguments. */
export interface ArgumentsRecord {
  /** `sha256:` and 64 hex digits over the canonical JSON of the original arguments. */
  readonly digest: string;
  readonly json: string | undefined;
  /** True when `json` was masked or cut. */
  readonly redacted: boolean;
}

/** Longest recorded text of redacted arguments, in UTF-16 code units. */
const MAX_REDACTED = 4096;

const noKeys: readonly string[] = [];

/**
 * Digests the arguments and renders what the project lets be recorded; the digest always covers the original. `redactedKeys` are the
 * project's sensitive names besides the built-in ones.
 */
export function describeArguments(
  args: unknown,
  mode: RecordedArguments,
  exactText?: string,
  redactedKeys: readonly string[] = noKeys,
): ArgumentsRecord {
  const canonical = canonicalJson(args);
  const digest = `sha256:${hash('sha256', exactText ?? canonical, 'hex')}`;
  switch (mode) {
    case 'none':
      return { digest, json: undefined, redacted: false };
    case 'full':
      return { digest, json: canonical, redacted: false };
    case 'redacted':
      return { digest, ...redact(args, canonical, createKeyRedaction(redactedKeys)) };
  }
}

function redact(args: unknown, canonical: string, isSensitive: IsSensitiveKey): { json: string; redacted: boolean } {
  // A replacer costs microseconds a call, so it runs only when there is something to mask.
  const masked = hasSensitiveKey(args, isSensitive);
  const json = masked ? JSON.stringify(args, (key, value: unknown) => (isSensitive(key) ? MASK : value)) : canonical;
  return json.length <= MAX_REDACTED
    ? { json, redacted: masked }
    : { json: JSON.stringify({ truncated: json.slice(0, MAX_REDACTED) }), redacted: true };
}

function hasSensitiveKey(value: unknown, isSensitive: IsSensitiveKey): boolean {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const isArray = Array.isArray(value);
  for (const key of Object.keys(value)) {
    if (!isArray && isSensitive(key)) {
      return true;
    }
    const inner = (value as Readonly<Record<string, unknown>>)[key];
    if (typeof inner === 'object' && inner !== null && hasSensitiveKey(inner, isSensitive)) {
      return true;
    }
  }
  return false;
}

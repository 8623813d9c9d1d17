import { hash } from 'node:crypto';
import type { RecordedArguments } from '../domain/project.ts';
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
const MASK = '[redacted]';

/** Words that make a key sensitive wherever they stand in it; case, `-`, `_` and spaces do not count. */
const SENSITIVE = /password|passwd|secret|token|credential|authorization|apikey|accesskey|privatekey|^key$/;

/** Digests the arguments and renders what the project lets be recorded; the digest always covers the original. */
export function describeArguments(args: unknown, mode: RecordedArguments, exactText?: string): ArgumentsRecord {
  const canonical = canonicalJson(args);
  const digest = `sha256:${hash('sha256', exactText ?? canonical, 'hex')}`;
  switch (mode) {
    case 'none':
      return { digest, json: undefined, redacted: false };
    case 'full':
      return { digest, json: canonical, redacted: false };
    case 'redacted':
      return { digest, ...redact(args, canonical) };
  }
}

function redact(args: unknown, canonical: string): { json: string; redacted: boolean } {
  let masked = false;
  const json = mayHoldSensitiveKey(canonical)
    ? JSON.stringify(args, (key, value: unknown) => {
        if (!SENSITIVE.test(key.toLowerCase().replaceAll(/[-_\s]/g, ''))) {
          return value;
        }
        masked = true;
        return MASK;
      })
    : canonical;
  return json.length <= MAX_REDACTED
    ? { json, redacted: masked }
    : { json: JSON.stringify({ truncated: json.slice(0, MAX_REDACTED) }), redacted: true };
}

// A replacer costs microseconds a call, so it runs only for texts in which one of the words occurs at all.
const sensitiveWord = /passw|secret|token|key|credential|authorization|\\u/i;

function mayHoldSensitiveKey(canonical: string): boolean {
  return sensitiveWord.test(canonical);
}

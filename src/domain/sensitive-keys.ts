/** Stands for a value that is not shown. */
export const MASK = '[redacted]';

/** True for the name of a value that must not be shown. */
export type IsSensitiveKey = (key: string) => boolean;

/** Words that make a key sensitive wherever they stand in it. */
const SENSITIVE = /password|passwd|secret|token|credential|authorization|apikey|accesskey|privatekey|^key$/;

/** Most keys whose answer is remembered, and the longest of them. */
const MAX_REMEMBERED = 2000;
const MAX_REMEMBERED_LENGTH = 64;

const redactions = new WeakMap<readonly string[], IsSensitiveKey>();

/** Makes the test for sensitive keys: the built-in words anywhere in a key, and each of `extra` as a whole key. Made once for each array. */
export function createKeyRedaction(extra: readonly string[]): IsSensitiveKey {
  let redaction = redactions.get(extra);
  if (redaction === undefined) {
    redaction = remember(compile(extra));
    redactions.set(extra, redaction);
  }
  return redaction;
}

/** The key as it is compared: case, `-`, `_` and spaces do not count. */
function normalize(key: string): string {
  return key.toLowerCase().replaceAll(/[-_\s]/g, '');
}

function compile(extra: readonly string[]): IsSensitiveKey {
  const others = new Set(extra.map(normalize).filter((name) => name !== ''));
  return (key) => {
    const name = normalize(key);
    return SENSITIVE.test(name) || others.has(name);
  };
}

function remember(isSensitive: IsSensitiveKey): IsSensitiveKey {
  const known = new Map<string, boolean>();
  return (key) => {
    let answer = known.get(key);
    if (answer === undefined) {
      answer = isSensitive(key);
      if (known.size >= MAX_REMEMBERED) known.clear();
      if (key.length <= MAX_REMEMBERED_LENGTH) known.set(key, answer);
    }
    return answer;
  };
}

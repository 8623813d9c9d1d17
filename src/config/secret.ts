import { inspect } from 'node:util';

/** A text that must not be printed: logs, JSON and string concatenation show `[secret]`; only `reveal` gives the text. */
export interface Secret {
  reveal(): string;
  toString(): string;
  toJSON(): string;
}

/** Wraps a secret text, so that printing the object it stands in does not print the secret. */
export function createSecret(text: string): Secret {
  const mask = () => '[secret]';
  return Object.freeze({ reveal: () => text, toString: mask, toJSON: mask, [inspect.custom]: mask });
}

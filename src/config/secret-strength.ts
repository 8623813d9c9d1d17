/** Texts that people copy from documents; a random key contains one with a probability below one in a million. */
const PLACEHOLDERS = ['changeme', 'password', 'secret', 'example', 'placeholder', 'qwerty', 'letmein', 'default'];

const MIN_ENTROPY_BITS = 80;
const MIN_SECRET_KEY_LENGTH = 32;
const MIN_PASSWORD_LENGTH = 12;
const MAX_PASSWORD_LENGTH = 256;

/**
 * Says why a key text is too easy to guess, or undefined when nothing speaks against it: few different characters, a repeated
 * block, a sequence with equal or repeating steps (`abcd…`, `aabbcc…`), or a placeholder from a document. Meant for texts of 32
 * characters and more; a random one passes.
 */
export function findWeakness(text: string): string | undefined {
  if (entropyBits(text) < MIN_ENTROPY_BITS) {
    return 'it has too few different characters';
  }
  const codes = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  if (isPeriodic(codes)) {
    return 'it repeats itself';
  }
  if (isPeriodic(differences(codes))) {
    return 'it is a sequence';
  }
  const letters = text.toLowerCase().replace(/[^a-z]/g, '');
  return PLACEHOLDERS.some((word) => letters.includes(word))
    ? 'it contains a word that placeholders contain'
    : undefined;
}

/** Says why a text may not be the gateway's secret key, or undefined when it may. */
export function findSecretKeyProblem(text: string): string | undefined {
  if (text.length < MIN_SECRET_KEY_LENGTH) {
    return `must have at least ${MIN_SECRET_KEY_LENGTH} characters; make one with \`openssl rand -base64 32\``;
  }
  const weakness = findWeakness(text);
  return weakness === undefined
    ? undefined
    : `is too easy to guess: ${weakness}; make one with \`openssl rand -base64 32\``;
}

/** Says why a text may not be a user's password, or undefined when it may (NIST SP 800-63B section 3.1.1: length, not composition). */
export function findPasswordProblem(text: string): string | undefined {
  const length = Array.from(text).length;
  if (length < MIN_PASSWORD_LENGTH || length > MAX_PASSWORD_LENGTH) {
    return `must have ${MIN_PASSWORD_LENGTH} to ${MAX_PASSWORD_LENGTH} characters`;
  }
  return new Set(text).size === 1 ? 'must not be one character repeated' : undefined;
}

/** Shannon's entropy of the character counts, times the length: an upper bound of what the text can hold. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) {
    counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  let bits = 0;
  for (const count of counts.values()) {
    bits -= count * Math.log2(count / text.length);
  }
  return bits;
}

/** True when more than two thirds of the values equal the value one period earlier, for some period up to half the length. */
function isPeriodic(values: readonly number[]): boolean {
  for (let period = 1; period <= values.length / 2; period++) {
    const equal = values.filter((value, index) => index >= period && value === values[index - period]).length;
    if (equal * 3 > (values.length - period) * 2) {
      return true;
    }
  }
  return false;
}

function differences(values: readonly number[]): number[] {
  return values.slice(1).map((value, index) => value - (values[index] ?? 0));
}

/** Longest word that is told apart, in characters. */
const MAX_TERM_LENGTH = 32;

/** Between words, and within `camelCase` and `HTTPServer`. */
const boundary = /[^\p{L}\p{M}\p{N}]+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u;

/** Scripts that put no spaces between words. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

const stopWords: ReadonlySet<string> = new Set(
  'a an and are as at be by for from i in is it me my of on or so that the this to want with you'.split(' '),
);

/** The words of a text, in the form in which they are compared; such as say nothing are left out. */
export function searchTerms(text: string): readonly string[] {
  return text
    .split(boundary)
    .flatMap((word) => (unspaced.test(word) ? pairsOf(word) : baseOf(word)))
    .filter((term) => term !== '' && !stopWords.has(term));
}

/** Singular and plural are the same word. */
function baseOf(word: string): string {
  const lower = word.slice(0, MAX_TERM_LENGTH).toLowerCase();
  if (lower.length < 4 || !lower.endsWith('s') || lower.endsWith('ss')) {
    return lower;
  }
  return lower.endsWith('ies') ? `${lower.slice(0, -3)}y` : lower.slice(0, -1);
}

/** Each two neighbouring characters, which stand in for words. */
function pairsOf(text: string): readonly string[] {
  const characters = Array.from(text);
  return characters.length < 2 ? characters : characters.slice(1).map((next, at) => `${characters[at]}${next}`);
}

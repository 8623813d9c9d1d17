/** A text cut at its places: literals as they are, and the names of settings. */
export type TemplateText = readonly TextPart[];

export type TextPart = { readonly literal: string } | { readonly setting: string };

const TOKEN = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{/g;

/** Cuts a text at its places; undefined when it holds a `${` that neither begins a place nor is written as `$${`. */
export function parseText(text: string): TemplateText | undefined {
  const parts: TextPart[] = [];
  let literal = '';
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    literal += text.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[0] === '$${') {
      literal += '${';
    } else if (match[1] === undefined) {
      return undefined;
    } else {
      if (literal !== '') parts.push({ literal });
      literal = '';
      parts.push({ setting: match[1] });
    }
  }
  literal += text.slice(end);
  return literal === '' ? parts : [...parts, { literal }];
}

/** The names of the settings that a text has places for, each once. */
export function settingsOf(text: TemplateText): string[] {
  return [...new Set(text.flatMap((part) => ('setting' in part ? [part.setting] : [])))];
}

/** The place of a setting. */
export function placeOf(setting: string): string {
  return `\${${setting}}`;
}

/** A text that stands for itself where places are read. */
export function escapeText(text: string): string {
  return text.replaceAll('${', () => '$${'); // in a replacement text, $$ would mean $
}

/** Puts values into the places, once: what looks like a place in a value stays as it is. Undefined when one of them has no value. */
export function fillText(text: TemplateText, valueOf: (setting: string) => string | undefined): string | undefined {
  let filled = '';
  for (const part of text) {
    const value = 'setting' in part ? valueOf(part.setting) : part.literal;
    if (value === undefined) return undefined;
    filled += value;
  }
  return filled;
}

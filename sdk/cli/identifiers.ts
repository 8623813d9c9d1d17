/** Words of a name: split at everything but letters and digits, and where a capital follows a small letter. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== '');
}

/** `create_issue` as `createIssue`; a name without a letter or digit is `unnamed`, one that begins with a digit gets an underscore. */
export function camelCase(name: string): string {
  const [first = 'unnamed', ...others] = wordsOf(name);
  const text = first.charAt(0).toLowerCase() + first.slice(1) + others.map(capital).join('');
  return /^\d/.test(text) ? `_${text}` : text;
}

/** `create_issue` as `CreateIssue`. */
export function pascalCase(name: string): string {
  const text = (wordsOf(name).length === 0 ? ['Unnamed'] : wordsOf(name)).map(capital).join('');
  return /^\d/.test(text) ? `_${text}` : text;
}

/** Hands out each name once: a repeated one gets a number. */
export function createNames(): (wanted: string) => string {
  const used = new Set<string>();
  return (wanted) => {
    let name = wanted;
    for (let count = 2; used.has(name); count++) {
      name = `${wanted}${count}`;
    }
    used.add(name);
    return name;
  };
}

/** A key of an object or type, in quotes where it must be. */
export function keyText(key: string): string {
  // A literal `__proto__: …` would set the prototype, in quotes or not.
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key) && key !== '__proto__' ? key : `[${JSON.stringify(key)}]`;
}

/** A comment above a member, at this indentation; nothing for an empty text. */
export function comment(text: string, indent: string): string {
  const lines = text
    .replaceAll('*/', '*\\/')
    // The compiler would follow it.
    .replaceAll('@ts-', '@ ts-')
    .trim()
    .split(/\r\n|[\r\n\u2028\u2029]/)
    .map((line) => line.trimEnd());
  if (lines.length === 1) {
    return lines[0] === '' ? '' : `${indent}/** ${lines[0]} */\n`;
  }
  const body = lines.map((line) => (line === '' ? `${indent} *\n` : `${indent} * ${line}\n`)).join('');
  return `${indent}/**\n${body}${indent} */\n`;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** A piece of a URI template, by what it can stand for. */
export type TemplatePart =
  | { readonly kind: 'literal'; readonly text: string }
  /** Characters other than `stops`, behind `opening`: nothing at all or, where there is no opening, at least one. */
  | { readonly kind: 'run'; readonly opening: string; readonly stops: string }
  /** Up to `count` times a slash with what is up to the next one. */
  | { readonly kind: 'segments'; readonly count: number }
  /** Parameters of a query, each with or without a value, in any order; `opening` stands before the first one. */
  | { readonly kind: 'pairs'; readonly opening: '?' | '&'; readonly names: readonly string[] };

/** For each length of the beginning of a URI, 1 when the parts so far can stand for it. */
type Reached = Uint8Array;

/**
 * True when the parts can stand for the URI as a whole. Every part walks once over the URI with all the places where the parts before
 * it can end, so nothing is tried twice.
 */
export function matchParts(parts: readonly TemplatePart[], uri: string): boolean {
  let reached: Reached = new Uint8Array(uri.length + 1);
  reached[0] = 1;
  for (const part of parts) {
    reached = step(part, uri, reached);
  }
  return reached[uri.length] === 1;
}

function step(part: TemplatePart, uri: string, from: Reached): Reached {
  switch (part.kind) {
    case 'literal':
      return afterLiteral(part.text, uri, from);
    case 'run':
      return afterRun(part.opening, part.stops, uri, from);
    case 'segments':
      return afterSegments(part.count, uri, from);
    case 'pairs':
      return afterPairs(part.opening, part.names, uri, from);
  }
}

function afterLiteral(text: string, uri: string, from: Reached): Reached {
  const to: Reached = new Uint8Array(from.length);
  for (let at = from.indexOf(1); at !== -1; at = from.indexOf(1, at + 1)) {
    if (uri.startsWith(text, at)) {
      to[at + text.length] = 1;
    }
  }
  return to;
}

function afterRun(opening: string, stops: string, uri: string, from: Reached): Reached {
  const to: Reached = new Uint8Array(from.length);
  let isRunning = false;
  for (let at = 0; at < uri.length; at++) {
    const character = uri.charAt(at);
    if (opening === '') {
      isRunning = (isRunning || from[at] === 1) && !stops.includes(character);
    } else {
      isRunning = (isRunning && !stops.includes(character)) || (from[at] === 1 && character === opening);
    }
    to[at + 1] = isRunning ? 1 : 0;
  }
  return opening === '' ? to : union(from, to);
}

function afterSegments(count: number, uri: string, from: Reached): Reached {
  let last = from;
  let all = from;
  for (let segment = 0; segment < count; segment++) {
    const to: Reached = new Uint8Array(from.length);
    let isInside = false;
    for (let at = 0; at < uri.length; at++) {
      const character = uri.charAt(at);
      isInside = character === '/' ? last[at] === 1 : isInside && !'?#'.includes(character);
      to[at + 1] = isInside ? 1 : 0;
    }
    last = to;
    all = union(all, to);
  }
  return all;
}

function afterPairs(opening: string, names: readonly string[], uri: string, from: Reached): Reached {
  const named: Reached = new Uint8Array(from.length);
  const valued: Reached = new Uint8Array(from.length);
  for (let at = 0; at < uri.length; at++) {
    const character = uri.charAt(at);
    const isBetween = character === '&' && (named[at] === 1 || valued[at] === 1);
    if (isBetween || (character === opening && from[at] === 1)) {
      for (const name of names.filter((name) => uri.startsWith(name, at + 1))) {
        named[at + 1 + name.length] = 1;
      }
    }
    const isValue = valued[at] === 1 && character !== '&' && character !== '#';
    if (isValue || (character === '=' && named[at] === 1)) {
      valued[at + 1] = 1;
    }
  }
  return union(from, union(named, valued));
}

function union(one: Reached, other: Reached): Reached {
  return one.map((reached, at) => reached | (other[at] ?? 0));
}

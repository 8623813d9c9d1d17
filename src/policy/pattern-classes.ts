/** Sorts names into classes: names of one class match the same patterns of a list. */
export interface PatternClasses {
  /** Number of different patterns. A class has the number of a pattern, from 1; 0 is the class of names that match none. */
  readonly size: number;
  classOf(name: string): number;
  /** The numbers of all patterns that match a name. */
  matching(name: string): readonly number[];
  /** The number of one of the patterns. */
  numberOf(pattern: string): number;
}

/**
 * Prepares patterns (exact names, `prefix*` and `*`) for lookups whose cost hardly grows with their number. A name's class is the
 * pattern that is exactly the name, or else the longest prefix: whatever other prefix matches is a prefix of that one. So there are no
 * more classes than patterns, whatever names are asked for.
 */
export function createPatternClasses(patterns: Iterable<string>): PatternClasses {
  const exact = new Map<string, number>();
  const prefixes = new Map<string, number>();
  let size = 0;
  for (const pattern of patterns) {
    const isPrefix = pattern.endsWith('*');
    const names = isPrefix ? prefixes : exact;
    const name = isPrefix ? pattern.slice(0, -1) : pattern;
    if (!names.has(name)) {
      names.set(name, ++size);
    }
  }
  const chain = createPrefixChain(prefixes);
  return {
    size,
    classOf: (name) => exact.get(name) ?? chain.longest(name),
    matching: (name) => [...(exact.has(name) ? [exact.get(name) ?? 0] : []), ...chain.all(name)],
    numberOf: (pattern) => (pattern.endsWith('*') ? prefixes.get(pattern.slice(0, -1)) : exact.get(pattern)) ?? 0,
  };
}

interface PrefixChain {
  /** The number of the longest prefix of a name; 0 = none. */
  longest(name: string): number;
  all(name: string): readonly number[];
}

function createPrefixChain(numbers: ReadonlyMap<string, number>): PrefixChain {
  const prefixes = [...numbers.keys()].sort();
  const parents = parentsOf(prefixes);
  const numberAt = (index: number) => numbers.get(prefixes[index] ?? '') ?? 0;
  const findLongest = (name: string) => {
    // All prefixes of the name stand before it, and between the longest one and the name stand only longer forms of that prefix.
    let index = lastNotAfter(prefixes, name);
    while (index >= 0 && !name.startsWith(prefixes[index] as string)) {
      index = parents[index] as number;
    }
    return index;
  };
  return {
    longest(name) {
      const index = findLongest(name);
      return index < 0 ? 0 : numberAt(index);
    },
    all(name) {
      const found: number[] = [];
      for (let index = findLongest(name); index >= 0; index = parents[index] as number) {
        found.push(numberAt(index));
      }
      return found;
    },
  };
}

/** For each of the sorted prefixes the place of the longest other one that it begins with; -1 = none. */
function parentsOf(prefixes: readonly string[]): number[] {
  const open: number[] = [];
  return prefixes.map((prefix, index) => {
    while (open.length > 0 && !prefix.startsWith(prefixes[open.at(-1) as number] as string)) {
      open.pop();
    }
    const parent = open.at(-1) ?? -1;
    open.push(index);
    return parent;
  });
}

function lastNotAfter(sorted: readonly string[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) <= name) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import MiniSearch, { type SearchOptions } from 'minisearch';
import type { JsonObject } from '../domain/json.ts';
import { isObject } from '../upstream/message.ts';
import type { Composition, ExposedTool } from './composition.ts';
import { searchTerms } from './search-terms.ts';

/** Finds tools by words. */
export interface SearchIndex {
  /** Places in the composition's list of tools, best first; empty when the query holds no word that says something. */
  search(query: string): readonly number[];
}

/** The fields are terms between spaces, like the queries. */
interface SearchDocument {
  readonly id: number;
  readonly name: string;
  readonly arguments: string;
  readonly description: string;
}

/** An index holds definitions and no tools, so that equal lists of different principals share it. */
interface KeptIndex {
  readonly definitions: readonly JsonObject[];
  readonly index: Promise<SearchIndex>;
}

/** What is read of one tool, and of one query. */
const MAX_DESCRIPTION_LENGTH = 2000;
const MAX_ARGUMENTS = 100;
const MAX_QUERY_LENGTH = 500;
const MAX_KNOWN_TERMS = 8;
const MAX_UNKNOWN_TERMS = 4;
/** Occurrences of all words of a query together; the commonest words are dropped beyond it. */
const MAX_HITS = 10_000;

/** How long the building of an index may keep others waiting, in milliseconds. */
const SLICE_MS = 10;

const byTools = new WeakMap<Composition['tools'], Promise<SearchIndex>>();
/** By the first definition of a list. */
const byDefinitions = new WeakMap<JsonObject, KeptIndex[]>();
/** Lists that begin with the same tool, such as those of gateways that share an upstream. */
const KEPT = 8;

/** The index of a composition's tools; built when it is first needed, in slices, and shared by compositions with the same definitions. */
export function searchIndexOf({ tools }: Pick<Composition, 'tools'>): Promise<SearchIndex> {
  const index = byTools.get(tools) ?? findKept(tools) ?? keep(tools);
  byTools.set(tools, index);
  return index;
}

/** Names of a tool's arguments, as far as its schema tells them at the top. */
export function argumentNames({ inputSchema }: JsonObject): readonly string[] {
  const properties = isObject(inputSchema) ? inputSchema['properties'] : undefined;
  return isObject(properties) ? Object.keys(properties) : [];
}

function findKept(tools: readonly ExposedTool[]): Promise<SearchIndex> | undefined {
  const kept = (tools[0] && byDefinitions.get(tools[0].definition)) ?? [];
  return kept.find(
    ({ definitions }) =>
      definitions.length === tools.length && tools.every(({ definition }, at) => definition === definitions[at]),
  )?.index;
}

function keep(tools: readonly ExposedTool[]): Promise<SearchIndex> {
  const definitions = tools.map(({ definition }) => definition);
  const index = build(definitions);
  const [first] = definitions;
  if (first !== undefined) {
    byDefinitions.set(first, [...(byDefinitions.get(first) ?? []).slice(1 - KEPT), { definitions, index }]);
  }
  return index;
}

async function build(definitions: readonly JsonObject[]): Promise<SearchIndex> {
  const engine = createEngine();
  const frequencies = new Map<string, number>();
  let sliceEnd = performance.now() + SLICE_MS;
  for (const [id, definition] of definitions.entries()) {
    const document = documentOf(id, definition);
    engine.add(document);
    for (const term of termsOf(document)) {
      frequencies.set(term, (frequencies.get(term) ?? 0) + 1);
    }
    if (performance.now() > sliceEnd) {
      await nextTurn();
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
  return {
    search(query) {
      const terms = chooseTerms(searchTerms(query.slice(0, MAX_QUERY_LENGTH)), frequencies);
      return terms.length === 0
        ? []
        : engine.search(terms.join(' '), optionsFor(frequencies, definitions.length)).map(({ id }): number => id);
    },
  };
}

/**
 * The words of a query that are worth their time: of those that are in the index the rarer ones, for they tell tools apart, and of the
 * others, which are compared with all there are, the longest.
 */
function chooseTerms(terms: readonly string[], frequencies: ReadonlyMap<string, number>): readonly string[] {
  const rarity = (term: string): number => frequencies.get(term) ?? 0;
  const different = [...new Set(terms)];
  const unknown = different.filter((term) => rarity(term) === 0).sort((one, other) => other.length - one.length);
  const known = different.filter((term) => rarity(term) > 0).sort((one, other) => rarity(one) - rarity(other));
  let hits = 0;
  const chosen = known.filter((term, place) => {
    hits += rarity(term);
    return place === 0 || hits <= MAX_HITS;
  });
  return [...chosen.slice(0, MAX_KNOWN_TERMS), ...unknown.slice(0, MAX_UNKNOWN_TERMS)];
}

/** A word that is in the index is not taken for a misspelt one. */
function optionsFor(frequencies: ReadonlyMap<string, number>, documents: number): SearchOptions {
  const common = Math.max(100, documents / 10);
  return {
    prefix: (term) => term.length >= 3 && (frequencies.get(term) ?? 0) <= common,
    fuzzy: (term) => (frequencies.has(term) || term.length < 4 ? false : term.length < 8 ? 1 : 2),
  };
}

function createEngine(): MiniSearch<SearchDocument> {
  return new MiniSearch<SearchDocument>({
    fields: ['name', 'arguments', 'description'],
    tokenize: (terms) => terms.split(' '),
    processTerm: (term) => term,
    searchOptions: { boost: { name: 4, arguments: 2 }, weights: { prefix: 0.4, fuzzy: 0.2 } },
  });
}

function termsOf({ name, arguments: args, description }: SearchDocument): ReadonlySet<string> {
  return new Set(`${name} ${args} ${description}`.split(' '));
}

function documentOf(id: number, definition: JsonObject): SearchDocument {
  const { name, title, description } = definition;
  const text = [title, description].filter((part) => typeof part === 'string').join('\n');
  return {
    id,
    name: typeof name === 'string' ? spaced(name) : '',
    arguments: spaced(argumentNames(definition).slice(0, MAX_ARGUMENTS).join(' ')),
    description: spaced(text.slice(0, MAX_DESCRIPTION_LENGTH)),
  };
}

function spaced(text: string): string {
  return searchTerms(text).join(' ');
}

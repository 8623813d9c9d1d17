import { GatewayError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { isObject, metaOf } from '../upstream/message.ts';
import { UpstreamRpcError } from '../upstream/rpc-error.ts';
import type { AskOptions, Line } from './line.ts';
import { LIST_KINDS, type ListKind, type ListName, type OfferList } from './list-kinds.ts';
import type { OfferProblem } from './offer.ts';
import { problemOf, tooLarge, unreadable } from './offer-problem.ts';
import { type Ask, type ListRead, NO_ITEMS, readList, shorter } from './read-list.ts';

/** What an upstream says of itself. */
export interface OfferFacts {
  readonly capabilities: JsonObject;
  readonly serverInfo: JsonObject | undefined;
  readonly instructions: string | undefined;
}

/** What is known of an upstream that said nothing yet. */
export const NO_FACTS: OfferFacts = { capabilities: {}, serverInfo: undefined, instructions: undefined };

/** What was learned by asking. */
export interface FetchedOffer {
  readonly facts: OfferFacts;
  /** Those that were asked for and could be read. */
  readonly lists: ReadonlyMap<OfferList, ListRead>;
  /** How long the upstream says that it stays true; undefined = it does not say. */
  readonly ttlMs: number | undefined;
  /** The first thing that went wrong. */
  readonly problem: OfferProblem | undefined;
  /** What broke off the reading of a list: the upstream failed. Undefined = it answered everything, be it with errors. */
  readonly failure: GatewayError | undefined;
}

const METHOD_NOT_FOUND = -32601;

/** What is to be asked for. */
export interface FetchOptions extends AskOptions {
  readonly line: Line;
  readonly slug: string;
  /** The lists to read. */
  readonly names: ReadonlySet<ListName>;
  /** Called before the lists are read. */
  readonly onFacts: (facts: OfferFacts) => void;
}

/** Asks for the facts and for lists; rejects when the upstream cannot even say what it is. */
export async function fetchOffer({ line, slug, names, onFacts, ...options }: FetchOptions): Promise<FetchedOffer> {
  const ask: Ask = (method, params) => line.ask(method, params, options);
  const said = line.channel.initializeResult ?? (await ask('server/discover', {}));
  const facts = factsIn(said);
  onFacts(facts);
  const kinds = LIST_KINDS.filter(({ name }) => names.has(name));
  const read = await Promise.all(kinds.map((kind) => readDeclared(ask, slug, facts.capabilities, kind)));
  const lists = read.flatMap(({ field, list }) => (list === undefined ? [] : [[field, list] as const]));
  return {
    facts,
    lists: new Map(lists),
    ttlMs: lists.reduce<number | undefined>((ttlMs, [, list]) => shorter(ttlMs, list.ttlMs), ttlOf(said)),
    problem: read.find(({ problem }) => problem !== undefined)?.problem,
    failure: read.find(({ failure }) => failure !== undefined)?.failure,
  };
}

function ttlOf(said: JsonObject): number | undefined {
  return shorter(undefined, said['ttlMs']);
}

/** An InitializeResult or a DiscoverResult, which tells its server in `_meta`. */
function factsIn(said: JsonObject): OfferFacts {
  const { capabilities, instructions } = said;
  const serverInfo = metaOf(said)['io.modelcontextprotocol/serverInfo'] ?? said['serverInfo'];
  return {
    capabilities: isObject(capabilities) ? capabilities : {},
    serverInfo: isObject(serverInfo) ? serverInfo : undefined,
    instructions: typeof instructions === 'string' ? instructions : undefined,
  };
}

interface ReadOutcome {
  readonly field: OfferList;
  readonly list?: ListRead;
  readonly problem?: OfferProblem;
  readonly failure?: GatewayError;
}

async function readDeclared(ask: Ask, slug: string, capabilities: JsonObject, kind: ListKind): Promise<ReadOutcome> {
  const { field, name, method } = kind;
  if (!isObject(capabilities[name])) {
    return { field, list: NO_ITEMS };
  }
  try {
    const list = await readList(ask, kind);
    if (list.flaw === undefined) {
      return { field, list };
    }
    return list.flaw === 'too_large'
      ? { field, list, problem: tooLarge(slug, method) }
      : { field, problem: unreadable(slug, method) };
  } catch (error) {
    if (error instanceof UpstreamRpcError && error.code === METHOD_NOT_FOUND) {
      return { field, list: NO_ITEMS }; // few servers that have resources know templates
    }
    const problem = problemOf(slug, error);
    return error instanceof GatewayError ? { field, problem, failure: error } : { field, problem };
  }
}

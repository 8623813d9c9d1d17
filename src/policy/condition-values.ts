import { type CelInput, type CelList, type CelMap, type CelValue, celList, celMap } from '@bufbuild/cel';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { GatewayError } from '../domain/errors.ts';
import { isJsonNumber, toWholeNumber } from './number.ts';
import type { PolicyCall } from './policy-call.ts';

/** What a condition is evaluated on. */
export interface ConditionInput {
  readonly call: PolicyCall;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Makes the value of each field that a condition can read. */
export const conditionFields: Readonly<Record<string, (input: ConditionInput) => CelInput>> = {
  'call.tool': ({ call }) => call.tool ?? '',
  'call.arguments': ({ call }) => rootOf(call.arguments),
  'principal.kind': ({ call }) => call.principal.kind,
  'principal.id': ({ call }) => call.principal.id,
  'principal.name': ({ call }) => call.principal.name,
  'principal.api_key_id': ({ call }) => call.principal.apiKeyId ?? '',
  'principal.teams': ({ call }) => new ItemList([...call.principal.teams]) as unknown as CelList,
  'principal.owner_id': ({ call }) => call.principal.ownerId ?? '',
  'upstream.slug': ({ call }) => call.upstream.slug,
  'request.time': ({ now }) => timestampFromMs(now),
  'session.id': ({ call }) => call.session ?? '',
};

/** Arguments are wrapped once a call, not once a condition. */
const roots = new WeakMap<object, CelMap>();
const noArguments = celMap(new Map());

function rootOf(args: unknown): CelMap {
  if (args === undefined) return noArguments;
  if (!isPlainObject(args)) throw new GatewayError('policy_denied', 'the arguments of the call are not an object');
  let root = roots.get(args);
  if (root === undefined) {
    root = wrapObject(args);
    roots.set(args, root);
  }
  return root;
}

type JsonObject = Readonly<Record<string, unknown>>;

function isPlainObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** The CEL value of what was parsed from JSON. */
function wrap(value: unknown): CelValue {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'number':
      return value;
    case 'object':
      if (value === null) return null;
      if (Array.isArray(value)) return new ItemList(value.map(wrap)) as unknown as CelList;
      return isJsonNumber(value) ? wrapNumber(value.rawJSON) : wrapObject(value as JsonObject);
    default:
      throw new Error('not a JSON value');
  }
}

function wrapNumber(text: string): CelValue {
  const double = Number(text);
  return Number.isSafeInteger(double) || !Number.isFinite(double) ? double : (toWholeNumber(text) ?? double);
}

function wrapObject(object: JsonObject): CelMap {
  return new JsonMap(object) as unknown as CelMap;
}

/** A JSON object as a CEL map; values are wrapped when they are asked for. Unlike celMap's own, a key whose value is null is there. */
class JsonMap {
  readonly #object: JsonObject;
  #wrapped: Map<string, CelValue> | undefined;
  #keys: readonly string[] | undefined;

  constructor(object: JsonObject) {
    this.#object = object;
  }

  get size(): number {
    return this.#allKeys().length;
  }

  get(key: unknown): CelValue | undefined {
    if (!this.has(key)) return undefined;
    const item = this.#object[key];
    if (typeof item !== 'object' || item === null) return wrap(item);
    // A list or a map is wrapped once: the conditions of a call ask for it again and again.
    this.#wrapped ??= new Map();
    let value = this.#wrapped.get(key);
    if (value === undefined) {
      value = wrap(item);
      this.#wrapped.set(key, value);
    }
    return value;
  }

  has(key: unknown): key is string {
    return typeof key === 'string' && Object.hasOwn(this.#object, key) && this.#object[key] !== undefined;
  }

  keys(): IterableIterator<string> {
    return this.#allKeys().values();
  }

  #allKeys(): readonly string[] {
    this.#keys ??= Object.keys(this.#object);
    return this.#keys;
  }

  *entries(): IterableIterator<[string, CelValue | undefined]> {
    for (const key of this.keys()) yield [key, this.get(key)];
  }

  *values(): IterableIterator<CelValue | undefined> {
    for (const key of this.keys()) yield this.get(key);
  }

  forEach(callback: (value: CelValue | undefined, key: string, map: this) => void): void {
    for (const key of this.keys()) callback(this.get(key), key, this);
  }

  [Symbol.iterator](): IterableIterator<[string, CelValue | undefined]> {
    return this.entries();
  }
}

/** A CEL list of CEL values. Lists that are put together share one array, so that adding to the end again and again costs no copies. */
class ItemList {
  readonly #items: CelValue[];
  readonly #grows: boolean;
  readonly size: number;

  constructor(items: CelValue[], grows = false) {
    this.#items = items;
    this.#grows = grows;
    this.size = items.length;
  }

  get(index: number): CelValue | undefined {
    return index >= 0 && index < this.size ? this.#items[index] : undefined;
  }

  *values(): IterableIterator<CelValue> {
    for (let index = 0; index < this.size; index++) yield this.#items[index] as CelValue;
  }

  [Symbol.iterator](): IterableIterator<CelValue> {
    return this.values();
  }

  static concat(left: CelList, right: CelList, spend: (items: number) => void): CelList {
    const grows = left instanceof ItemList && left.#grows && left.size === left.#items.length;
    spend(right.size + (grows ? 0 : left.size));
    const items = grows ? left.#items : Array.from(left);
    for (const item of right) items.push(item);
    return new ItemList(items, true) as unknown as CelList;
  }
}

// What the package takes for a map or a list carries a symbol of its own, which these inherit.
Object.setPrototypeOf(JsonMap.prototype, celMap(new Map()));
Object.setPrototypeOf(ItemList.prototype, celList([]));

/** Both lists in one. `spend` is told how many items are copied before they are. */
export const concatLists: (left: CelList, right: CelList, spend: (items: number) => void) => CelList = ItemList.concat;

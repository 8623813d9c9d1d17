import { GatewayError } from '../domain/errors.ts';
import { type Budget, createBudget, spend } from './budget.ts';

/** Where in the arguments of a call values are; made by {@link parsePath}. */
export interface ArgumentPath {
  readonly text: string;
  readonly segments: readonly PathSegment[];
}

/** A name of an object's property, one index of an array, or every index. */
export type PathSegment = string | number | typeof everyItem;

/** Stands for `[*]`. */
export const everyItem: unique symbol = Symbol('[*]');

/** One place that a path leads to. */
export interface SelectedValue {
  /** With the index of each item. */
  readonly path: string;
  /** Undefined = nothing is there. */
  readonly value: unknown;
  /** Set when the way ends early, at a value that is not of the type the path needs; `path` and `value` are that value's. */
  readonly needs?: 'object' | 'array';
}

const MAX_LENGTH = 256;
const MAX_SEGMENTS = 32;
/** Highest index that a path may name. */
const MAX_INDEX = 1_000_000;

// A name, an index, each item, or a quoted name; a dot stands before every name but the first.
const step =
  /(?<dot>\.)?(?:(?<name>[^.[\]"'*\s\p{Cc}\p{Cs}]+)|\[(?:(?<index>0|[1-9][0-9]*)|(?<each>\*)|(?<quoted>"(?:[^"\\]|\\.)*"))\])/uy;

/** What never finds anything, because the arguments begin with their names. */
const jsonPath = /^\$(?:[.[]|$)/;

/**
 * Reads a path such as `customer.address.country`, `items[*].sku` or `["first name"]`.
 *
 * @throws GatewayError `validation_failed` that says what is wrong
 */
export function parsePath(text: string): ArgumentPath {
  if (text.length > MAX_LENGTH) throw invalid(`is longer than ${MAX_LENGTH} characters`);
  const segments: PathSegment[] = [];
  let at = 0;
  if (jsonPath.test(text)) {
    throw invalid('begins with "$", which JSONPath has and paths here have not; an argument of that name is ["$"]');
  }
  while (at < text.length) {
    step.lastIndex = at;
    const groups = step.exec(text)?.groups;
    const segment = groups === undefined ? undefined : readSegment(groups, segments.length === 0);
    if (segment === undefined)
      throw invalid(`cannot be read from character ${at + 1} on: ${quote(text.slice(at, at + 20))}`);
    segments.push(segment);
    at = step.lastIndex;
  }
  if (segments.length === 0) throw invalid('is empty');
  if (segments.length > MAX_SEGMENTS) throw invalid(`has more than ${MAX_SEGMENTS} parts`);
  if (typeof segments[0] !== 'string') throw invalid('must begin with the name of an argument');
  return { text, segments };
}

function invalid(what: string): GatewayError {
  return new GatewayError(
    'validation_failed',
    `The path ${what}. Write names separated by dots, [n] for one item, [*] for each, and ["a name"] for a name with other characters.`,
  );
}

function readSegment(groups: Readonly<Record<string, string | undefined>>, isFirst: boolean): PathSegment | undefined {
  const { dot, name, index, each, quoted } = groups;
  if (name !== undefined) return (dot === undefined) === isFirst ? name : undefined;
  if (dot !== undefined) return undefined;
  if (each !== undefined) return everyItem;
  if (index !== undefined) return readIndex(index);
  return readQuoted(quoted ?? '');
}

function readIndex(digits: string): number {
  const index = Number(digits);
  if (index > MAX_INDEX) throw invalid(`has an index above ${MAX_INDEX}`);
  return index;
}

function readQuoted(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
}

/** Finds the values that a path leads to: one entry without `[*]`, with it one for each item (none for an empty array). */
export function selectValues(path: ArgumentPath, args: unknown): SelectedValue[] {
  const found: SelectedValue[] = [];
  visitValues(path, args, createBudget(), (value, place, needs) => {
    found.push({ path: describePlace(path, place), value, ...(needs !== undefined && { needs }) });
    return true;
  });
  return found;
}

/** What a place costs that is visited, and each part of the way to it. */
const VISIT_COST = 0.5;
const STEP_COST = 0.25;

/** How far a visit has come: the number of segments gone, and the index chosen for each `[*]` among them. */
export interface Place {
  depth: number;
  readonly indexes: number[];
}

interface Walk extends Place {
  readonly budget: Budget;
}

/** Takes one value, with `needs` as in {@link SelectedValue}; false = no more are wanted. The place is only good during the call. */
export type VisitValue = (value: unknown, place: Place, needs: 'object' | 'array' | undefined) => boolean;

/** Calls `visit` for every value that the path leads to, without making a list of them. Throws when the budget is spent. */
export function visitValues(path: ArgumentPath, args: unknown, budget: Budget, visit: VisitValue): void {
  walk(path.segments, args, { depth: 0, indexes: [], budget }, visit);
}

function walk(segments: readonly PathSegment[], from: unknown, place: Walk, visit: VisitValue): boolean {
  let value = from;
  spend(place.budget, VISIT_COST + STEP_COST * (segments.length - place.depth));
  for (let depth = place.depth; depth < segments.length; depth++) {
    if (value === undefined || value === null) {
      place.depth = segments.length;
      return visit(undefined, place, undefined);
    }
    const segment = segments[depth] as PathSegment;
    const needs = typeof segment === 'string' ? 'object' : 'array';
    if (needs !== containerOf(value)) {
      place.depth = depth;
      return visit(value, place, needs);
    }
    if (segment === everyItem) return walkItems(segments, value as readonly unknown[], depth, place, visit);
    value = Object.hasOwn(value, segment) ? (value as Record<string | number, unknown>)[segment] : undefined;
  }
  place.depth = segments.length;
  return visit(value, place, undefined);
}

function walkItems(
  segments: readonly PathSegment[],
  items: readonly unknown[],
  depth: number,
  place: Walk,
  visit: VisitValue,
): boolean {
  for (let index = 0; index < items.length; index++) {
    place.indexes.push(index);
    place.depth = depth + 1;
    const goesOn = walk(segments, items[index], place, visit);
    place.indexes.pop();
    if (!goesOn) return false;
  }
  return true;
}

function containerOf(value: unknown): 'object' | 'array' | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return 'array';
  return JSON.isRawJSON(value) ? undefined : 'object';
}

/** The path to a place, with the index of each item. */
export function describePlace(path: ArgumentPath, place: Place): string {
  let text = '';
  let items = 0;
  for (const segment of path.segments.slice(0, place.depth)) {
    if (typeof segment === 'string') text += nameText(segment, text === '');
    else text += `[${segment === everyItem ? (place.indexes[items++] ?? '*') : segment}]`;
  }
  return text;
}

const plainName = /^[^.[\]"'*\s\p{Cc}\p{Cs}]+$/u;

function nameText(name: string, isFirst: boolean): string {
  if (!plainName.test(name) || (isFirst && name === '$')) return `[${quote(name)}]`;
  return isFirst ? name : `.${name}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

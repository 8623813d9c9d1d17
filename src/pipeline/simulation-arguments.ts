import type { Decision } from '../domain/decision.ts';

/** The arguments of a recorded call, as far as they were recorded. */
export interface RecordedCallArguments {
  /** Parsed when first read; undefined when the call had none, or nothing of them is known. */
  readonly value: unknown;
  /** What of them is not known: nothing, the values that are `[redacted]`, or all. */
  readonly hidden: 'nothing' | 'masked' | 'all';
}

/** Numbers that JSON.parse may change; on the MCP face the gateway decided about them as they were written. */
const fragileNumber = /\d[\d.]{15}|\d[eE][+-]?\d/;
/** Longer texts the gateway did not read exactly either, in UTF-16 code units. */
const MAX_EXACT = 64 * 1024;

const none: RecordedCallArguments = { value: undefined, hidden: 'nothing' };
const unknown: RecordedCallArguments = { value: undefined, hidden: 'all' };

/** What is known of a recorded call's arguments. */
export function recordedArgumentsOf(decision: Decision): RecordedCallArguments {
  const { argumentsDigest, argumentsJson, argumentsRedacted, face } = decision;
  if (argumentsDigest === undefined) return none;
  if (argumentsJson === undefined) return unknown;
  const parse = () => parseAsDecided(argumentsJson, face);
  return argumentsRedacted === true ? redacted(parse) : whole(parse);
}

function whole(parse: () => unknown): RecordedCallArguments {
  let parsed: { readonly value: unknown } | undefined;
  return {
    hidden: 'nothing',
    get value() {
      parsed ??= { value: parse() };
      return parsed.value;
    },
  };
}

function redacted(parse: () => unknown): RecordedCallArguments {
  try {
    const value = parse();
    return isCut(value) ? unknown : { value, hidden: 'masked' };
  } catch {
    // Cut text need not be JSON (decision.proto).
    return unknown;
  }
}

/** Nothing was masked in an object that has no other key, so it is what recording makes of text that is too long. */
function isCut(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 1 && typeof value['truncated'] === 'string';
}

/** The API's calls carry doubles; what the MCP face read exactly is read so again. */
function parseAsDecided(json: string, face: Decision['face']): unknown {
  const isExact = face === 'mcp' && json.length <= MAX_EXACT && fragileNumber.test(json);
  return isExact ? JSON.parse(json, keepNumberAsWritten) : JSON.parse(json);
}

function keepNumberAsWritten(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined ? JSON.rawJSON(context.source) : value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

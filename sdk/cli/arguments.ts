import { parseArgs } from 'node:util';
import type { ToolTarget } from '../src/tools.ts';

/** What the command was asked to do. */
export interface ToolsCommand {
  readonly target: ToolTarget;
  /** File to write or check. */
  readonly out: string;
  /** True = compare, and write nothing. */
  readonly isCheck: boolean;
  readonly baseUrl: string;
  readonly apiKey: string;
}

/** A command that can't be run as it was written; its message says how it is written. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const USAGE = `Writes a TypeScript module that calls the tools of a gateway, with types made of the tools' schemas.

  npx @portcullis/sdk tools --gateway SLUG --out tools.ts

  --gateway SLUG    the gateway whose tools are called; SLUG@VERSION for any version but v1
  --upstream SLUG   an upstream instead
  --out FILE        the file to write
  --check           writes nothing; exits with 1 when FILE is not what would be written
  --url URL         where Portcullis is; PORTCULLIS_URL by default, else http://127.0.0.1:8000

The API key is read from PORTCULLIS_API_KEY; it needs the scope tools:call. Only tools that its policies might allow are written.
`;

/** Reads the command line and the environment. Throws a UsageError; undefined = only help was asked for. */
export function readCommand(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ToolsCommand | undefined {
  const { values, positionals } = parse(args);
  if (values.help === true || (positionals[0] ?? 'help') === 'help') {
    return undefined;
  }
  if (positionals.length !== 1 || positionals[0] !== 'tools') {
    throw new UsageError(`There is only the command 'tools', not '${positionals.join(' ')}'.`);
  }
  const { gateway, upstream, out } = values;
  if ((gateway === undefined) === (upstream === undefined)) {
    throw new UsageError('Name either --gateway or --upstream.');
  }
  if (out === undefined || out === '') {
    throw new UsageError('Name the file to write: --out tools.ts');
  }
  const apiKey = env['PORTCULLIS_API_KEY'] ?? '';
  if (apiKey === '') {
    throw new UsageError('Set PORTCULLIS_API_KEY to an API key with the scope tools:call.');
  }
  return {
    target: targetOf(gateway, upstream),
    out,
    isCheck: values.check === true,
    baseUrl: values.url ?? env['PORTCULLIS_URL'] ?? 'http://127.0.0.1:8000',
    apiKey,
  };
}

function parse(args: readonly string[]) {
  const options = {
    gateway: { type: 'string' },
    upstream: { type: 'string' },
    out: { type: 'string' },
    check: { type: 'boolean' },
    url: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function targetOf(gateway: string | undefined, upstream: string | undefined): ToolTarget {
  const [slug = '', version] = (gateway ?? upstream ?? '').split('@');
  const named = gateway === undefined ? { upstream: slug } : { gateway: slug };
  return version === undefined || version === 'v1' ? named : { ...named, version };
}

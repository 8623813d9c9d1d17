import { GatewayError } from '../domain/errors.ts';

/** PostgreSQL's `character_not_in_repertoire`: of all texts that reach it, only those with NUL are refused so. */
const UNSTORABLE = '22021';

/** What to answer when a database could not take a text of the request; undefined for every other error. */
export function findUnstorableText(error: unknown): GatewayError | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== UNSTORABLE) {
    return undefined;
  }
  const message = 'A text of the request holds a NUL character, which cannot be stored. Leave it out.';
  return new GatewayError('validation_failed', message, { cause: error });
}

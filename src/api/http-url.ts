import { createValidationError } from './validation.ts';

/** The URL in its normal form. Throws `validation_failed` for one that is not http or https, or holds credentials or a fragment. */
export function checkHttpUrl(field: string, text: string, insteadOfCredentials: string): string {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw createValidationError([{ field, description: 'must be an http or https URL' }]);
  }
  if (url.username !== '' || url.password !== '') {
    throw createValidationError([{ field, description: `must not hold credentials; ${insteadOfCredentials}` }]);
  }
  if (url.hash !== '') {
    throw createValidationError([{ field, description: 'must not have a fragment' }]);
  }
  return url.href;
}

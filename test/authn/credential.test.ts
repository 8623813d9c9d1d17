import { describe, expect, it } from 'vitest';
import { readCredential } from '../../src/authn/credential.ts';

describe('a credential', () => {
  it.each([
    [{ authorization: 'Bearer text' }],
    [{ authorization: 'bearer  text ' }],
    [{ 'x-api-key': 'text' }],
    [{ 'x-veto-api-key': 'text' }],
    [{ authorization: 'Bearer text', 'x-api-key': 'text', 'x-veto-api-key': 'text' }],
    [{ authorization: '', 'x-api-key': 'text' }],
  ])('is read from %j', (headers) => {
    expect(readCredential(headers)).toBe('text');
  });

  it.each([
    ['No credential was sent.', {}],
    ['No credential was sent.', { authorization: '', 'x-api-key': '' }],
    ['The Authorization header has another scheme than Bearer.', { authorization: 'Basic dXNlcjpwYXNz' }],
    ['The Authorization header has another scheme than Bearer.', { authorization: 'pc_key' }],
    ['The Authorization header has another scheme than Bearer.', { authorization: 'Basic x', 'x-api-key': 'text' }],
    ['Two different credentials were sent; send one.', { authorization: 'Bearer a', 'x-api-key': 'b' }],
    ['Two different credentials were sent; send one.', { authorization: 'Bearer a', 'x-veto-api-key': 'b' }],
    ['Two different credentials were sent; send one.', { 'x-api-key': 'a', 'x-veto-api-key': 'b' }],
    ['Two different credentials were sent; send one.', { authorization: 'Bearer ', 'x-api-key': 'b' }],
    ['The credential is too long.', { authorization: `Bearer ${'a'.repeat(4097)}` }],
  ])('is refused: %s %j', (message, headers) => {
    expect(() => readCredential(headers)).toThrow(
      expect.objectContaining({
        reason: 'invalid_api_key',
        message: `${message} Send \`Authorization: Bearer <API key or access token>\` or \`X-API-Key: <API key>\`.`,
      }),
    );
  });
});

/**
 * Gives the ApiKey or token for the next call. It is asked before every call, so it should remember what it gave. `refused` is a token
 * that the gateway has just refused as expired: give a newer one, and the call is repeated once; give the same, and the call fails.
 */
export type CredentialSource = (refused?: string) => string | Promise<string>;

/** What a client calls with: one of the three, or none where the gateway runs without authentication. */
export type CredentialOptions =
  | { readonly apiKey?: string; readonly token?: never; readonly credentials?: never }
  | { readonly token?: string; readonly apiKey?: never; readonly credentials?: never }
  | { readonly credentials?: CredentialSource; readonly apiKey?: never; readonly token?: never };

/** The source that the options ask for. Throws a TypeError for more than one credential, and for one that can't be valid. */
export function findCredentialSource(options: CredentialOptions): CredentialSource | undefined {
  const { apiKey, token, credentials } = options;
  if ([apiKey, token, credentials].filter((given) => given !== undefined).length > 1) {
    throw new TypeError('Give one of apiKey, token and credentials, not several.');
  }
  const fixed = apiKey ?? token;
  if (fixed !== undefined) {
    checkCredential(fixed);
    return () => fixed;
  }
  return credentials;
}

/** Throws a TypeError, which never shows the credential, for text that can't go into an HTTP header. */
export function checkCredential(credential: string): void {
  if (!/^[\x21-\x7e]+$/.test(credential)) {
    throw new TypeError(
      credential === ''
        ? 'The ApiKey or token is empty.'
        : 'The ApiKey or token holds characters that none has; check it for spaces and line ends.',
    );
  }
}

import { type ConnectionOptions, createPortcullisClient, type PortcullisClient } from './client.ts';
import { createTokenSource } from './token-source.ts';

export type LoginOptions = ConnectionOptions & { readonly username: string; readonly password: string };

/**
 * Logs a user in and makes a client with the user's token, which is renewed by the refresh token as long as the client is used. The
 * password is not kept. Throws `invalid_credentials` when it is wrong; calls of the client throw that too once the gateway refuses to
 * renew the token: log in again.
 */
export async function login(options: LoginOptions): Promise<PortcullisClient> {
  const { username, password, ...connection } = options;
  // The calls that give tokens carry none.
  const { auth } = createPortcullisClient(connection);
  const tokens = await auth.login({ username, password });
  const credentials = createTokenSource(tokens, (refreshToken) => auth.refreshToken({ refreshToken }));
  return createPortcullisClient({ ...connection, credentials });
}

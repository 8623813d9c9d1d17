import { createTestDatabaseUrl } from '../support/postgres.ts';

/** Environment of gateways that share a fresh PostgreSQL database. */
export async function replicaEnv(): Promise<Record<string, string>> {
  return {
    GATEWAY_DATABASE_URL: await createTestDatabaseUrl(),
    GATEWAY_SECRET_KEY: 'Zr8L-k3J9fWq2_xT5vB7nM1cHd4Ys6PaQ0',
  };
}

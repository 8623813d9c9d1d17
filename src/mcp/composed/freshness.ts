/**
 * Caching hints for a modern client (specification 2026-07-28, server/utilities/caching): what a principal sees is its own, and policies
 * may change it at any moment. Asking again costs little, as the gateway has it in memory.
 */
export const FRESHNESS = { ttlMs: 0, cacheScope: 'private' } as const;

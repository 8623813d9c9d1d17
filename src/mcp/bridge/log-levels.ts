/** Severities of RFC 5424, least severe first, as MCP names them. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

/** True for a level that MCP knows. */
export function isLogLevel(level: unknown): level is string {
  return typeof level === 'string' && LEVELS.includes(level);
}

/** True for a message of this level where `least` was asked for; what has no known level is not held back. */
export function isLoud(level: unknown, least: string): boolean {
  return !isLogLevel(level) || LEVELS.indexOf(level) >= LEVELS.indexOf(least);
}

/** The less severe of two levels. */
export function quieterOf(a: string, b: string): string {
  return isLoud(a, b) ? b : a;
}

export type LogLevels = ReturnType<typeof createLogLevels>;

/** Sessions whose level is remembered; of more, those that said it longest ago are forgotten. */
const MAX_SESSIONS = 10_000;

/** What legacy sessions said with `logging/setLevel`, on this replica. */
export function createLogLevels() {
  const levels = new Map<string, string>();

  /** From now on this session wants messages of this level and above; without effect for a level that is none. */
  function set(sessionId: string, level: string): void {
    if (!isLogLevel(level)) {
      return;
    }
    levels.delete(sessionId);
    levels.set(sessionId, level);
    if (levels.size > MAX_SESSIONS) {
      // Maps keep insertion order, so this is the one set longest ago.
      levels.delete(levels.keys().next().value as string);
    }
  }

  return { set, find: (sessionId: string) => levels.get(sessionId) };
}

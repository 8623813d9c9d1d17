/** PostgreSQL error codes, class 23: integrity constraint violation. */
const POSTGRES_UNIQUE = '23505';
const POSTGRES_FOREIGN_KEY = '23503';
/** SQLite extended result codes. */
const SQLITE_UNIQUE = 2067;
const SQLITE_PRIMARY_KEY = 1555;
const SQLITE_FOREIGN_KEY = 787;

function codes(error: unknown): { code?: unknown; errcode?: unknown } {
  return typeof error === 'object' && error !== null ? error : {};
}

/** True when a driver refused a write because its unique value is taken. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errcode } = codes(error);
  return code === POSTGRES_UNIQUE || errcode === SQLITE_UNIQUE || errcode === SQLITE_PRIMARY_KEY;
}

/** True when a driver refused a write because of a row that refers to, or is referred to by, the written one. */
export function isForeignKeyViolation(error: unknown): boolean {
  const { code, errcode } = codes(error);
  return code === POSTGRES_FOREIGN_KEY || errcode === SQLITE_FOREIGN_KEY;
}

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { createValidationError } from './validation.ts';

/** Largest arguments that a call made elsewhere is decided with, as JSON. */
const MAX_BYTES = 64 * 1024;

/** The arguments, if JSON has a form for all their numbers: NaN and infinities would silently become null. */
export function checkNumbers(args: JsonObject): JsonObject {
  if (!isFiniteThroughout(args)) {
    throw createValidationError([{ field: 'arguments', description: 'must not hold NaN or infinite numbers' }]);
  }
  return args;
}

/** Their size as JSON, in bytes. Throws `validation_failed` beyond 64 KiB. */
export function measureArguments(args: JsonObject): number {
  const bytes = Buffer.byteLength(JSON.stringify(args));
  if (bytes > MAX_BYTES) {
    throw createValidationError([{ field: 'arguments', description: 'must be at most 64 KiB as JSON' }]);
  }
  return bytes;
}

function isFiniteThroughout(value: JsonValue): boolean {
  if (typeof value === 'number') {
    return Number.isFinite(value);
  }
  return typeof value !== 'object' || value === null || Object.values(value).every(isFiniteThroughout);
}

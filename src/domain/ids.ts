import { randomFillSync } from 'node:crypto';

/** A string that only functions of one kind hand out, so that ids of two kinds cannot be swapped. */
type Branded<Name extends string> = string & { readonly __brand: Name };

export type ProjectId = Branded<'ProjectId'>;
/** Id of a User or an Agent. */
export type PrincipalId = Branded<'PrincipalId'>;
export type ApiKeyId = Branded<'ApiKeyId'>;
export type PolicyId = Branded<'PolicyId'>;
export type ApprovalId = Branded<'ApprovalId'>;
export type UpstreamId = Branded<'UpstreamId'>;
export type GatewayId = Branded<'GatewayId'>;
export type UpstreamTemplateId = Branded<'UpstreamTemplateId'>;
/** Id of a governed call and of the Decision made for it. */
export type CallId = Branded<'CallId'>;

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The time of the last id, and its place within that millisecond. */
let lastTime = 0;
let lastCount = 0;

/**
 * A new UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, 12 bits that count up within one (section 6.2, method 1), then
 * random bits; ids that one process makes sort by creation.
 */
export function newId<Id extends string = string>(now: number = Date.now()): Id {
  if (used + 10 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const at = used;
  used += 10;
  const byte = (offset: number) => hex[pool[at + offset] as number];
  const time = now.toString(16).padStart(12, '0');
  // Begins in the lower half, so that it hardly ever overflows.
  const count = now === lastTime ? lastCount + 1 : (((pool[at] as number) & 0x07) << 8) | (pool[at + 1] as number);
  lastTime = now;
  lastCount = count;
  const version = hex[0x70 | ((count >> 8) & 0x0f)];
  const variant = hex[0x80 | ((pool[at + 2] as number) & 0x3f)];
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex[count & 0xff]}-${variant}${byte(3)}-${byte(4)}${byte(5)}${byte(6)}${byte(7)}${byte(8)}${byte(9)}` as Id;
}

import { GatewayError } from '../domain/errors.ts';

/** Something whose revision counts up with every change. */
interface Revised {
  readonly id: string;
  readonly revision: number;
}

/** The etag of a resource. */
export function etagOf(resource: Revised): string {
  return String(resource.revision);
}

/** Throws `etag_mismatch` unless the etag is empty (change whatever is there) or fits the resource as it is now. */
export function checkEtag(kind: string, resource: Revised, etag: string): void {
  if (etag !== '' && etag !== etagOf(resource)) {
    throw staleEtag(kind, resource.id);
  }
}

/** The error for a resource that was changed or deleted in between. */
export function staleEtag(kind: string, id: string): GatewayError {
  const message = `The ${kind} was changed since it was read. Read it again and repeat the change.`;
  return new GatewayError('etag_mismatch', message, { metadata: { resource: kind, id } });
}

/** What was written; throws `etag_mismatch` when the resource was changed or deleted since it was read. */
export function requireWritten<Resource>(kind: string, id: string, written: Resource | undefined): Resource {
  if (written === undefined) {
    throw staleEtag(kind, id);
  }
  return written;
}

/** The revision that an etag stands for; undefined when the etag is empty. An etag that is none stands for a revision that never was. */
export function revisionOf(etag: string): number | undefined {
  if (etag === '') {
    return undefined;
  }
  return /^[1-9][0-9]{0,14}$/.test(etag) ? Number(etag) : -1;
}

import type { Kysely } from 'kysely';
import type { Database } from '../db/database.ts';
import { findGatewayBySlug, listGateways } from '../db/gateways.ts';
import { findUpstreamBySlug, findUpstreamVersions } from '../db/upstreams.ts';
import { type FieldViolation, GatewayError } from '../domain/errors.ts';
import type { Gateway, GatewayUpstream } from '../domain/gateway.ts';
import type { ProjectId } from '../domain/ids.ts';
import { isGatewayGranted, type Principal } from '../domain/principal.ts';
import { addressOf } from '../domain/target.ts';
import type { Upstream } from '../domain/upstream.ts';
import { eachPage } from '../snapshot/each-page.ts';

type Db = Kysely<Database>;

/** The upstreams that exist of those that the entries name, by {@link addressOf}. */
export async function findComposed(
  db: Db,
  projectId: ProjectId,
  entries: readonly GatewayUpstream[],
): Promise<ReadonlyMap<string, Upstream>> {
  const upstreams = await findUpstreamVersions(db, projectId, slugsOf(entries));
  return new Map(upstreams.map((upstream) => [addressOf(upstream), upstream]));
}

/** Which of the entries name an upstream that is not there; `pathOf` says where an entry is in the request. */
export async function findMissingUpstreams(
  db: Db,
  projectId: ProjectId,
  entries: readonly GatewayUpstream[],
  pathOf: (index: number) => string,
): Promise<FieldViolation[]> {
  const upstreams = await findUpstreamVersions(db, projectId, slugsOf(entries));
  const versionsOf = Map.groupBy(upstreams, ({ slug }) => slug);
  return entries.flatMap(({ slug, version }, index) => {
    const versions = (versionsOf.get(slug) ?? []).map((upstream) => upstream.version);
    return versions.includes(version)
      ? []
      : [{ field: pathOf(index), description: describeMissing(slug, version, versions) }];
  });
}

/** Throws `already_exists` when an upstream or a gateway, a deleted one included, has the slug and version in the project. */
export async function requireFreeAddress(db: Db, projectId: ProjectId, slug: string, version: string): Promise<void> {
  const gateway = await findGatewayBySlug(db, projectId, slug, version);
  if (gateway?.deleteTime !== undefined) {
    throw addressTaken(slug, version, 'a deleted gateway', ', or bring it back with UndeleteGateway');
  }
  if (gateway !== undefined) {
    throw addressTaken(slug, version, 'a gateway');
  }
  if ((await findUpstreamBySlug(db, projectId, slug, version)) !== undefined) {
    throw addressTaken(slug, version, 'an upstream');
  }
}

/** Throws `failed_precondition` while active gateways are composed of the upstream; names those that the caller may see. */
export async function requireUncomposed(db: Db, caller: Principal, upstream: Upstream): Promise<void> {
  const gateways: Gateway[] = [];
  await eachPage(
    (page) => listGateways(db, { projectId: upstream.projectId, ...page }),
    (gateway) => {
      if (isComposedOf(gateway, upstream)) {
        gateways.push(gateway);
      }
    },
  );
  if (gateways.length === 0) {
    return;
  }
  const seen = gateways.filter(({ id }) => isGatewayGranted(caller, id));
  const message = `The upstream '${addressOf(upstream)}' is part of ${nameGateways(seen, gateways.length)}. Take it out of them, or delete them, first.`;
  throw new GatewayError('failed_precondition', message, { metadata: { condition: 'part_of_gateway' } });
}

/** Names that a message lists at most. */
const MAX_NAMED = 10;

function nameGateways(seen: readonly Gateway[], count: number): string {
  const names = seen.slice(0, MAX_NAMED).map((gateway) => `'${addressOf(gateway)}'`);
  if (names.length === 0) {
    return 'active gateways that this credential does not reach';
  }
  const more = count > names.length ? ` and ${count - names.length} more` : '';
  return `the active gateways ${names.join(', ')}${more}`;
}

function slugsOf(entries: readonly GatewayUpstream[]): string[] {
  return [...new Set(entries.map(({ slug }) => slug))];
}

function describeMissing(slug: string, version: string, versions: readonly string[]): string {
  if (versions.length === 0) {
    return `there is no upstream "${slug}" in the project; create it first`;
  }
  const more = versions.length > MAX_NAMED ? ' and more' : '';
  return `the upstream "${slug}" has no version "${version}", only ${versions.slice(0, MAX_NAMED).join(', ')}${more}`;
}

function addressTaken(slug: string, version: string, by: string, orElse = ''): GatewayError {
  const message = `The slug "${slug}" in the version "${version}" belongs to ${by} of the project. Choose another slug or version${orElse}.`;
  return new GatewayError('already_exists', message, { metadata: { field: 'slug' } });
}

function isComposedOf({ deleteTime, upstreams }: Gateway, { slug, version }: Upstream): boolean {
  return deleteTime === undefined && upstreams.some((entry) => entry.slug === slug && entry.version === version);
}

import type { ProjectId } from '../domain/ids.ts';
import { addressOf, DEFAULT_VERSION } from '../domain/target.ts';
import { hidden } from './hidden.ts';

/** Names a resource by its id or slug, as every `XRef` of the API does; the schema demands one of them. */
export interface Reference {
  readonly value: { readonly case: 'id' | 'slug' | undefined; readonly value?: string | undefined };
  /** Of the slug, for kinds that have versions; empty = `v1`. */
  readonly version?: string;
}

/** A resource that requests name. */
interface Referenced {
  readonly projectId: ProjectId;
  readonly version?: unknown;
}

/** How resources of a kind are looked up. Any text may come as an id: it finds nothing when it is none. */
export interface Lookup<Resource extends Referenced> {
  readonly kind: string;
  readonly findById: (id: string) => Promise<Resource | undefined>;
  readonly findBySlug: (slug: string, version: string) => Promise<Resource | undefined>;
  /** All versions of a slug in the project, to tell them to who names another one; absent = the kind has no versions. */
  readonly listVersions?: (slug: string) => Promise<readonly Resource[]>;
  /** Which of them the caller may see; absent = all of the project. */
  readonly isVisible?: (resource: Resource) => boolean;
}

/** The id in a reference, or the address: the slug, with `@version` for any version but `v1`. */
export function nameOf(reference: Reference | undefined): string {
  const text = reference?.value.value ?? '';
  return reference?.value.case === 'slug' ? addressOf({ slug: text, version: versionOf(reference) }) : text;
}

/** The resource of the project that a request names. Throws `permission_denied` when there is none that the caller may see. */
export async function getReferenced<Resource extends Referenced>(
  projectId: ProjectId,
  reference: Reference | undefined,
  lookup: Lookup<Resource>,
): Promise<Resource> {
  const { kind, findById, findBySlug, isVisible = () => true } = lookup;
  const text = reference?.value.value ?? '';
  const isSlug = reference?.value.case === 'slug';
  const resource = await (isSlug ? findBySlug(text, versionOf(reference)) : findById(text));
  if (resource === undefined || resource.projectId !== projectId || !isVisible(resource)) {
    throw hidden(kind, nameOf(reference), isSlug ? await adviceOf(text, lookup) : '');
  }
  return resource;
}

function versionOf({ version = '' }: Reference): string {
  return version === '' ? DEFAULT_VERSION : version;
}

/** What else there is of the slug, as far as the caller may know. */
async function adviceOf<Resource extends Referenced>(
  slug: string,
  { listVersions, isVisible = () => true }: Lookup<Resource>,
): Promise<string> {
  const versions = (await listVersions?.(slug))?.filter(isVisible).map(({ version }) => String(version)) ?? [];
  return versions.length === 0 ? '' : `Versions of "${slug}": ${versions.join(', ')}.`;
}

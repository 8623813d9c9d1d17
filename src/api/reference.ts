import type { ProjectId } from '../domain/ids.ts';
import { hidden } from './hidden.ts';

/** Names a resource by its id or slug, as every `XRef` of the API does; the schema demands one of them. */
export interface Reference {
  readonly value: { readonly case: 'id' | 'slug' | undefined; readonly value?: string | undefined };
}

/** How resources of a kind are looked up. Any text may come as an id: it finds nothing when it is none. */
export interface Lookup<Resource extends { readonly projectId: ProjectId }> {
  readonly kind: string;
  readonly findById: (id: string) => Promise<Resource | undefined>;
  readonly findBySlug: (slug: string) => Promise<Resource | undefined>;
  /** Which of them the caller may see; absent = all of the project. */
  readonly isVisible?: (resource: Resource) => boolean;
}

/** The slug or id in a reference. */
export function nameOf(reference: Reference | undefined): string {
  return reference?.value.value ?? '';
}

/** The resource of the project that a request names. Throws `permission_denied` when there is none that the caller may see. */
export async function getReferenced<Resource extends { readonly projectId: ProjectId }>(
  projectId: ProjectId,
  reference: Reference | undefined,
  { kind, findById, findBySlug, isVisible = () => true }: Lookup<Resource>,
): Promise<Resource> {
  const name = nameOf(reference);
  const resource = await (reference?.value.case === 'slug' ? findBySlug(name) : findById(name));
  if (resource === undefined || resource.projectId !== projectId || !isVisible(resource)) {
    throw hidden(kind, name);
  }
  return resource;
}

import type { Kysely } from 'kysely';
import type { Database } from '../db/database.ts';
import { findUpstreamTemplate, listUpstreamTemplates } from '../db/upstream-templates.ts';
import type { ProjectId } from '../domain/ids.ts';
import type { TemplateEntry, UpstreamTemplate } from '../domain/upstream-template.ts';
import type { ShippedTemplates } from './shipped-templates.ts';

type Db = Kysely<Database>;

/** The template of a slug: the project's own, else the one that the server ships with. */
export async function findTemplate(
  db: Db,
  shipped: ShippedTemplates,
  projectId: ProjectId,
  slug: string,
): Promise<TemplateEntry | UpstreamTemplate | undefined> {
  return (await findUpstreamTemplate(db, projectId, slug)) ?? shipped.get(slug);
}

/** A page of the templates of a project and of the shipped ones, ordered by slug. An own one hides a shipped one of its slug. */
export async function listTemplates(
  db: Db,
  shipped: ShippedTemplates,
  page: { readonly projectId: ProjectId; readonly afterSlug?: string | undefined; readonly limit: number },
): Promise<(TemplateEntry | UpstreamTemplate)[]> {
  const { afterSlug = '', limit } = page;
  const own = await listUpstreamTemplates(db, page);
  const bySlug = new Map<string, TemplateEntry>([...shipped].filter(([slug]) => slug > afterSlug));
  for (const template of own) bySlug.set(template.slug, template);
  return [...bySlug.values()].sort((one, other) => (one.slug < other.slug ? -1 : 1)).slice(0, limit);
}

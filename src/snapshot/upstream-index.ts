import type { ProjectId, UpstreamId } from '../domain/ids.ts';
import type { Upstream } from '../domain/upstream.ts';

/** Upstreams by project and then by id or slug. */
export interface UpstreamIndex {
  /** An id wins over another upstream's slug of the same text. */
  find(projectId: ProjectId, slugOrId: string): Upstream | undefined;
  /** Upstreams of one project, in no particular order. */
  list(projectId: ProjectId): Iterable<Upstream>;
  all(): Iterable<Upstream>;
  findById(id: UpstreamId): Upstream | undefined;
  put(upstream: Upstream): void;
  delete(id: UpstreamId): void;
}

interface ProjectUpstreams {
  readonly byId: Map<string, Upstream>;
  readonly bySlug: Map<string, Upstream>;
}

/** An empty index. */
export function createUpstreamIndex(): UpstreamIndex {
  const all = new Map<UpstreamId, Upstream>();
  const projects = new Map<ProjectId, ProjectUpstreams>();
  const remove = (id: UpstreamId) => {
    const old = all.get(id);
    if (old === undefined) return;
    all.delete(id);
    const project = projects.get(old.projectId);
    project?.byId.delete(id);
    // Within one round of changes the slug may have gone to another upstream already.
    if (project?.bySlug.get(old.slug)?.id === id) project.bySlug.delete(old.slug);
    if (project?.byId.size === 0) projects.delete(old.projectId);
  };
  return {
    find(projectId, slugOrId) {
      const project = projects.get(projectId);
      return project?.byId.get(slugOrId) ?? project?.bySlug.get(slugOrId);
    },
    list: (projectId) => projects.get(projectId)?.byId.values() ?? [],
    all: () => all.values(),
    findById: (id) => all.get(id),
    put(upstream) {
      remove(upstream.id);
      const { id, projectId, slug } = upstream;
      const project = projects.get(projectId) ?? { byId: new Map(), bySlug: new Map() };
      projects.set(projectId, project);
      project.byId.set(id, upstream);
      project.bySlug.set(slug, upstream);
      all.set(id, upstream);
    },
    delete: remove,
  };
}

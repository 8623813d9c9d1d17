import type { ProjectId } from '../domain/ids.ts';

/** A resource that its project knows by an id and by a slug. */
interface Named {
  readonly id: string;
  readonly projectId: ProjectId;
  readonly slug: string;
}

/** Resources of one kind by project and then by id or address (the slug, or what `addressOf` makes of it). */
export interface SlugIndex<Item extends Named> {
  /** An id wins over another resource's address of the same text. */
  find(projectId: ProjectId, addressOrId: string): Item | undefined;
  /** Those of one project, in no particular order. */
  list(projectId: ProjectId): Iterable<Item>;
  all(): Iterable<Item>;
  findById(id: Item['id']): Item | undefined;
  put(item: Item): void;
  delete(id: Item['id']): void;
}

interface ProjectItems<Item> {
  readonly byId: Map<string, Item>;
  readonly byAddress: Map<string, Item>;
}

/** An empty index. */
export function createSlugIndex<Item extends Named>(
  addressOf: (item: Item) => string = ({ slug }) => slug,
): SlugIndex<Item> {
  const all = new Map<Item['id'], Item>();
  const projects = new Map<ProjectId, ProjectItems<Item>>();
  const remove = (id: Item['id']) => {
    const old = all.get(id);
    if (old === undefined) return;
    all.delete(id);
    const project = projects.get(old.projectId);
    project?.byId.delete(id);
    // Within one round of changes the slug may have gone to another resource already.
    const address = addressOf(old);
    if (project?.byAddress.get(address)?.id === id) project.byAddress.delete(address);
    if (project?.byId.size === 0) projects.delete(old.projectId);
  };
  return {
    find(projectId, addressOrId) {
      const project = projects.get(projectId);
      return project?.byId.get(addressOrId) ?? project?.byAddress.get(addressOrId);
    },
    list: (projectId) => projects.get(projectId)?.byId.values() ?? [],
    all: () => all.values(),
    findById: (id) => all.get(id),
    put(item) {
      remove(item.id);
      const project = projects.get(item.projectId) ?? { byId: new Map(), byAddress: new Map() };
      projects.set(item.projectId, project);
      project.byId.set(item.id, item);
      project.byAddress.set(addressOf(item), item);
      all.set(item.id, item);
    },
    delete: remove,
  };
}

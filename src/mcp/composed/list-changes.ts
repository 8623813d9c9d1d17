import type { Compositions } from '../../catalogue/compositions.ts';
import { LIST_NAMES, type ListName } from '../../catalogue/list-kinds.ts';
import type { Viewer } from '../../catalogue/offer.ts';
import type { Offers } from '../../catalogue/offers.ts';
import { isGateway, type Target } from '../../domain/target.ts';
import { findMember, findTarget, isRefusal } from '../../pipeline/target.ts';
import type { HotConfig } from '../../snapshot/hot-config.ts';

export interface ListChangesDeps {
  readonly config: HotConfig;
  readonly offers: Pick<Offers, 'onChange'>;
  readonly compositions: Pick<Compositions, 'of'>;
}

/** How long changes of one list are collected before its client is told, in milliseconds. */
const COLLECT_MS = 100;
/** How often it is looked for what nobody tells of: policies of the project. */
const LOOK_MS = 1_000;
/** How often the lists are used while somebody listens, so that upstreams are still asked for them. */
const USE_MS = 60_000;

/**
 * Tells, once for all changes that come close together, of each list of a target that may be another one for the viewer now: what upstreams
 * offer, which upstreams there are, or what policies let the viewer see. The result ends it.
 */
export function watchListChanges(
  deps: ListChangesDeps,
  target: Target,
  viewer: Viewer,
  onChange: (name: ListName) => void,
): () => void {
  const { config, offers, compositions } = deps;
  const { projectId, id: principalId } = viewer.principal;
  const collected = createCollector(onChange);
  let members = memberIds(config, viewer, target);
  // In SEARCH mode the tools that are listed are always the same.
  const isSearch = isGateway(target) && target.discoveryMode === 'search';
  const note = (names: readonly ListName[]) =>
    collected.note(isSearch ? names.filter((name) => name !== 'tools') : names);
  const use = () => {
    const current = findTarget(config, viewer.principal, target.id);
    if (!isRefusal(current)) {
      void compositions.of(current, viewer);
    }
  };
  const visibility = () => [config.getPolicies(projectId), config.getProject(projectId).defaultEffect];
  let seen = visibility();
  const look = () => {
    const now = visibility();
    if (now.some((each, index) => each !== seen[index])) {
      seen = now;
      note(LIST_NAMES);
    }
  };
  const ends = [
    offers.onChange((change) => {
      if (change.principalId === principalId && members.has(change.upstreamId)) {
        note(change.lists);
      }
    }),
    config.onGatewayChange((_gateway, id) => {
      if (id === target.id) {
        members = memberIds(config, viewer, target);
        collected.note(LIST_NAMES);
        use();
      }
    }),
    config.onUpstreamChange((_upstream, id) => {
      if (members.has(id) || memberIds(config, viewer, target).has(id)) {
        members = memberIds(config, viewer, target);
        note(LIST_NAMES);
        use();
      }
    }),
    every(LOOK_MS, look),
    every(USE_MS, use),
    collected.end,
  ];
  use();
  return () => {
    for (const end of ends) {
      end();
    }
  };
}

/** Ids of the upstreams of a target, as it is now. */
function memberIds(config: HotConfig, { principal }: Viewer, target: Target): ReadonlySet<string> {
  const current = findTarget(config, principal, target.id);
  if (isRefusal(current) || !isGateway(current)) {
    return new Set([target.id]);
  }
  return new Set(current.upstreams.flatMap((entry) => findMember(config, current, entry)?.id ?? []));
}

function createCollector(tell: (name: ListName) => void) {
  const timers = new Map<ListName, NodeJS.Timeout>();
  return {
    note(names: readonly ListName[]): void {
      for (const name of names.filter((each) => !timers.has(each))) {
        const fire = () => {
          timers.delete(name);
          tell(name);
        };
        timers.set(name, setTimeout(fire, COLLECT_MS));
      }
    },
    end(): void {
      for (const timer of timers.values()) {
        clearTimeout(timer);
      }
    },
  };
}

/** Does something again and again, and never lets an error out: a project may be gone by then. */
function every(ms: number, run: () => void): () => void {
  const timer = setInterval(() => {
    try {
      run();
    } catch {
      // Who watches over the stream's access ends it.
    }
  }, ms);
  return () => clearInterval(timer);
}

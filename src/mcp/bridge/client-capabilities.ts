import { isObject, type JsonObject, textOf } from '../../upstream/message.ts';

/** The modern extension for tasks; tasks of the legacy era are something else, so neither means anything to the other. */
const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** What a legacy client declared in `initialize`, in the words of the modern era. */
export function toModernCapabilities(capabilities: unknown): JsonObject {
  const { tasks: _legacyTasks, roots, ...same } = isObject(capabilities) ? capabilities : {};
  // Modern clients do not tell when their roots change.
  return withoutTasksExtension({ ...same, ...(isObject(roots) ? { roots: {} } : {}) });
}

/** What a modern client declared with its request, in the words of the legacy era. */
export function toLegacyCapabilities(capabilities: unknown): JsonObject {
  return isObject(capabilities) ? withoutTasksExtension(capabilities) : {};
}

/** The same capabilities without those for tasks; the same object where there are none. */
export function withoutTasksExtension(capabilities: JsonObject): JsonObject {
  const { extensions, ...others } = capabilities;
  if (!isObject(extensions) || !(TASKS_EXTENSION in extensions)) {
    return capabilities;
  }
  const { [TASKS_EXTENSION]: _tasks, ...kept } = extensions;
  return Object.keys(kept).length === 0 ? others : { ...others, extensions: kept };
}

/** The methods with which an upstream may ask a client for something in both eras (specification 2026-07-28, basic/patterns/mrtr). */
const ASKING_METHODS: ReadonlySet<string> = new Set(['elicitation/create', 'sampling/createMessage', 'roots/list']);

/** True for a request of an upstream that exists in both eras. */
export function isAskingMethod(method: unknown): method is string {
  return typeof method === 'string' && ASKING_METHODS.has(method);
}

/**
 * The capability that a client lacks for a request of an upstream, as it would have to declare it; undefined when it can be asked
 * (specification 2026-07-28, client/elicitation and client/sampling, section Capabilities; the same in 2025-11-25).
 */
export function findLacking(capabilities: unknown, method: string, params: JsonObject): JsonObject | undefined {
  const declared = isObject(capabilities) ? capabilities : {};
  switch (method) {
    case 'elicitation/create':
      return findLackingMode(declared['elicitation'], textOf(params['mode'] ?? 'form'));
    case 'sampling/createMessage':
      return findLackingSampling(declared['sampling'], params);
    case 'roots/list':
      return isObject(declared['roots']) ? undefined : { roots: {} };
    default:
      return {};
  }
}

function findLackingMode(elicitation: unknown, mode: string): JsonObject | undefined {
  const modes = isObject(elicitation) ? elicitation : undefined;
  // An empty object means forms only.
  const isForm = mode === 'form' && modes !== undefined && modes['url'] === undefined;
  return isForm || isObject(modes?.[mode]) ? undefined : { elicitation: { [mode]: {} } };
}

function findLackingSampling(sampling: unknown, params: JsonObject): JsonObject | undefined {
  const needsTools = params['tools'] !== undefined || params['toolChoice'] !== undefined;
  if (!isObject(sampling)) {
    return { sampling: needsTools ? { tools: {} } : {} };
  }
  return needsTools && !isObject(sampling['tools']) ? { sampling: { tools: {} } } : undefined;
}

/** A capability for people, such as `elicitation.url`. */
export function capabilityText(lacking: JsonObject): string {
  const [name = '', value] = Object.entries(lacking)[0] ?? [];
  const part = isObject(value) ? Object.keys(value)[0] : undefined;
  return part === undefined ? name : `${name}.${part}`;
}

import type { JsonObject } from '../domain/json.ts';
import { isObject } from '../upstream/message.ts';
import { isEqualJson } from './equal-json.ts';
import type { Offer } from './offer.ts';

/** The lists of a gateway; it tells itself when one of them changes. */
const LISTS = ['tools', 'prompts', 'resources'] as const;

/** Declared by an empty object, and had by a gateway when one upstream has it. */
const SERVICES = ['completions', 'logging'] as const;

/** An extension that needs state which the gateway does not carry between clients and upstreams. */
const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/**
 * What a gateway declares that it can do, in `initialize` and `server/discover`: what one upstream can, for what is routed to it, and what
 * all can for experiments and extensions. An upstream that can't be asked may have anything to list, so lists are declared for it.
 */
export function mergeCapabilities(offers: readonly Pick<Offer, 'capabilities' | 'problem'>[]): JsonObject {
  const all = offers.map(({ capabilities }) => capabilities);
  const isAnyUnknown = offers.some(
    ({ capabilities, problem }) => problem !== undefined && Object.keys(capabilities).length === 0,
  );
  const lists = LISTS.filter((key) => isAnyUnknown || all.some((capabilities) => isObject(capabilities[key])));
  const services = SERVICES.filter((key) => all.some((capabilities) => isObject(capabilities[key])));
  const canSubscribe = all.some(({ resources }) => isObject(resources) && resources['subscribe'] === true);
  return {
    ...Object.fromEntries(lists.map((key) => [key, listCapability(key === 'resources' && canSubscribe)])),
    ...Object.fromEntries(services.map((key) => [key, {}])),
    ...common('experimental', all),
    ...common('extensions', all),
  };
}

function listCapability(canSubscribe: boolean): JsonObject {
  return { ...(canSubscribe ? { subscribe: true } : {}), listChanged: true };
}

/** The entries that everyone declares in the same way. */
function common(key: 'experimental' | 'extensions', all: readonly JsonObject[]): JsonObject {
  const [first = {}, ...others] = all.map((capabilities) => (isObject(capabilities[key]) ? capabilities[key] : {}));
  const agreed = Object.entries(first).filter(
    ([name, value]) =>
      name !== TASKS_EXTENSION &&
      isEqualJson(value, value) &&
      others.every((other) => Object.hasOwn(other, name) && isEqualJson(other[name], value)),
  );
  return agreed.length === 0 ? {} : { [key]: Object.fromEntries(agreed) };
}

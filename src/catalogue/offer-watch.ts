import { GatewayError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import { isObject, paramsOf } from '../upstream/message.ts';
import type { Line } from './line.ts';
import { announcedLists, changedList, declaredLists, type ListName } from './list-kinds.ts';

/** Listens to what an upstream says about its lists. */
export interface OfferWatch {
  /** Since when every change of a list is heard, by the gateway's clock; undefined = not every one is. */
  readonly hearingSince: number | undefined;
  end(): void;
}

export interface OfferWatchOptions {
  readonly line: Line;
  /** Of the upstream. */
  readonly capabilities: JsonObject;
  readonly now: () => number;
  readonly onChange: (name: ListName) => void;
  /** The connection was lost and made anew: changes may have been missed. */
  readonly onGap: () => void;
  /** It is over, though not by `end`; told what `hearingSince` was, or undefined where it is not to be begun again soon. */
  readonly onOver: (hearingSince: number | undefined) => void;
}

interface Mutable extends OfferWatch {
  hearingSince: number | undefined;
}

/** Begins to listen; undefined when there is nothing to hear. */
export function watchLists(options: OfferWatchOptions): OfferWatch | undefined {
  return options.line.era === 'modern' ? subscribe(options) : attach(options);
}

/** A legacy upstream says it to every client, outside of requests. */
function attach({ line, capabilities, now, onChange, onGap, onOver }: OfferWatchOptions): OfferWatch {
  const isTold = isAll(capabilities, announcedLists(capabilities));
  const watch: Mutable = { hearingSince: isTold ? now() : undefined, end: () => detach() };
  const detach = line.channel.attach(line.client, {
    send(message) {
      const name = changedList(message);
      if (name !== undefined) {
        onChange(name);
      }
    },
    onReopen() {
      watch.hearingSince = isTold ? now() : undefined;
      onGap();
    },
    onEnd: () => onOver(watch.hearingSince),
    onDeaf() {
      watch.hearingSince = undefined;
    },
  });
  return watch;
}

const FILTERS: Readonly<Record<ListName, string>> = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
};

/** Specification 2026-07-28, basic/patterns/subscriptions: one request that stays open. */
function subscribe({ line, capabilities, now, onChange, onOver }: OfferWatchOptions): OfferWatch | undefined {
  const wanted = announcedLists(capabilities);
  if (wanted.length === 0) {
    return undefined;
  }
  const gone = new AbortController();
  const watch: Mutable = { hearingSince: undefined, end: () => gone.abort() };
  const onMessage = (message: JsonObject) => {
    const name = changedList(message);
    if (name !== undefined) {
      onChange(name);
    } else if (message['method'] === 'notifications/subscriptions/acknowledged') {
      const agreed = paramsOf(message)['notifications'];
      const heard = wanted.filter((each) => isObject(agreed) && agreed[FILTERS[each]] === true);
      watch.hearingSince = isAll(capabilities, heard) ? now() : undefined;
    }
  };
  const over = (error?: unknown) => {
    if (!gone.signal.aborted) {
      const hasMadeRoom = error instanceof GatewayError && error.reason === 'canceled';
      onOver(hasMadeRoom ? undefined : watch.hearingSince);
    }
  };
  const notifications = Object.fromEntries(wanted.map((name) => [FILTERS[name], true]));
  line.ask('subscriptions/listen', { notifications }, { signal: gone.signal, onMessage }).then(() => over(), over);
  return watch;
}

function isAll(capabilities: JsonObject, heard: readonly ListName[]): boolean {
  return declaredLists(capabilities).every((name) => heard.includes(name));
}

import {
  type ChattyClient,
  type ChattyClientOptions,
  connectChatty,
  type Era,
  toldOf,
} from './support-chatty-clients.ts';
import { CHATTY_RESOURCE } from './support-chatty-upstream.ts';

/** Who joins the traffic. */
export interface Member extends Pick<ChattyClientOptions, 'url' | 'apiKey' | 'era'> {
  /** Tells it from all others. */
  readonly name: string;
  /** Declares that it can be asked. */
  readonly declares: boolean;
}

/** Clients that do everything a chatty upstream offers, at random, and what came of it. */
export interface Traffic {
  /** What was not as it must be. */
  readonly faults: readonly string[];
  /** How often each thing was done at each upstream by clients of each era, such as `ask at files by legacy`. */
  readonly counts: ReadonlyMap<string, number>;
  /** Connects a client. */
  join(member: Member): Promise<Participant>;
}

export interface Participant {
  /** Does things until this time, up to four at once. */
  work(until: number): Promise<void>;
  close(): Promise<void>;
}

/** What a client can do; each throws when the answer is not its own. */
const KINDS = ['plain', 'report', 'ask', 'slow', 'prompt', 'resource'] as const;
type Kind = (typeof KINDS)[number];

const AT_ONCE = 4;
const LONGEST_MS = 200;

/** Makes traffic with chatty upstreams behind a gateway, by their slugs. */
export function createTraffic(slugs: readonly string[]): Traffic {
  const faults: string[] = [];
  const counts = new Map<string, number>();
  /** The client whose call is under way, by the text of the call. */
  const askers = new Map<string, string>();
  let lastText = 0;

  async function join({ name, declares, era, ...where }: Member): Promise<Participant> {
    const onStray = (what: string) => faults.push(`${name}: ${what}`);
    const onElicit = (message: string) => {
      if (askers.get(message) !== name) {
        faults.push(`${name} was asked for '${message}', which is not under way for it`);
      }
      return `${name} on ${message}`;
    };
    const client = await connectChatty({ ...where, era, onStray, ...(declares ? { onElicit } : {}) });

    const act = async (): Promise<void> => {
      const text = `text ${++lastText}`;
      const slug = oneOf(slugs);
      const kind = oneOf(KINDS);
      askers.set(text, name);
      try {
        await actions[kind](client, slug, text, `${name} on ${text}`);
        count(counts, `${kind} at ${slug} by ${era}`);
      } catch (error) {
        faults.push(`${name}: ${kind} at ${slug}: ${toldOf(error)}`);
      }
      askers.delete(text);
    };

    return {
      async work(until) {
        while (Date.now() < until) {
          await Promise.all(Array.from({ length: 1 + random(AT_ONCE) }, act));
        }
      },
      close: client.close,
    };
  }

  return { faults, counts, join };
}

/** Everything that is to be counted, when each thing was done at each upstream by clients of both eras. */
export function everythingAt(slugs: readonly string[]): string[] {
  const eras: readonly Era[] = ['legacy', 'modern'];
  return KINDS.flatMap((kind) => slugs.flatMap((slug) => eras.map((era) => `${kind} at ${slug} by ${era}`))).sort();
}

type Action = (client: ChattyClient, slug: string, text: string, ownAnswer: string) => Promise<void>;

const actions: Record<Kind, Action> = {
  async plain(client, slug, text) {
    requireSame(await client.call(`${slug}_plain`, { text }), `plain: ${text}`);
  },
  async report(client, slug, text) {
    const progress: string[] = [];
    const answer = await client.call(`${slug}_report`, { text }, (message) => progress.push(message));
    requireSame([...progress, answer].join(', '), `${text} 1, ${text} 2, ${text} 3, report: ${text}`);
  },
  async ask(client, slug, text, ownAnswer) {
    const asked = client.call(`${slug}_ask`, { text });
    if (client.declares) {
      requireSame(await asked, `ask: ${text}: ${ownAnswer}`);
    } else {
      const refusal = await asked.catch(String);
      requireSame(/not declare|not support/.exec(refusal) === null ? refusal : 'refused', 'refused');
    }
  },
  async slow(client, slug, text) {
    requireSame(await client.call(`${slug}_slow`, { text, ms: random(LONGEST_MS) }), `slow: ${text}`);
  },
  async prompt(client, slug, text) {
    requireSame(await client.prompt(`${slug}_greet`, { name: text }), `Greet ${text}.`);
  },
  // Every upstream has the URI, so each one's is told by its slug.
  async resource(client, slug) {
    requireSame(await client.read(`${slug}+${CHATTY_RESOURCE}`), 'A note.');
  },
};

function requireSame(actual: string, expected: string): void {
  if (actual !== expected) {
    throw new Error(`got '${actual}' instead of '${expected}'`);
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

function oneOf<Value>(values: readonly Value[]): Value {
  const value = values[random(values.length)];
  if (value === undefined) throw new Error('there is nothing to choose from');
  return value;
}

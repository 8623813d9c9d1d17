import type { Kysely } from 'kysely';
import type { Database } from '../db/database.ts';
import { findProject } from '../db/projects.ts';
import {
  claimDelivery,
  deleteDelivery,
  listDueDeliveries,
  postponeDelivery,
  type WebhookDelivery,
} from '../db/webhook-deliveries.ts';
import { createRepeated, type Repeated } from './repeated.ts';
import { webhookHeaders } from './webhook-signature.ts';

/** One POST to a webhook. */
export interface WebhookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

/** Sends a POST and follows no redirect; resolves with the status, and rejects when there is no answer. */
export type SendWebhook = (request: WebhookRequest) => Promise<{ readonly status: number }>;

export interface WebhookSenderDeps {
  readonly db: Kysely<Database>;
  readonly send: SendWebhook;
  /** Opens a project's sealed signing secret. */
  readonly open: (sealed: string) => Promise<string>;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Hears of every attempt that failed, and of failures to read or write the outbox. */
  readonly onError: (error: unknown, delivery?: WebhookDelivery) => void;
  readonly everyMs?: number;
  /** The longest that a receiver may take to answer. */
  readonly timeoutMs?: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** How long after each failed attempt the next one comes; the last is repeated. */
const BACKOFF_MS = [5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR];
const LAST_BACKOFF_MS = 6 * HOUR;
/** An event that could not be delivered for this long is dropped. */
const GIVE_UP_MS = 72 * HOUR;
const TIMEOUT_MS = 15 * SECOND;
/** How much longer than an attempt its claim lasts. */
const CLAIM_MARGIN_MS = 30 * SECOND;

/** Attempts of this replica at once, and of one project among them, so that a receiver that hangs holds up nobody else. */
const MAX_ATTEMPTS = 32;
const MAX_ATTEMPTS_OF_PROJECT = 4;

/**
 * Sends what is in the outbox until it is delivered. Every replica sends; each attempt is claimed by one, for longer than an attempt
 * may take, so that an event is sent twice only when a replica died, or the answer was lost.
 */
export function startWebhookSender(deps: WebhookSenderDeps): Repeated {
  const running = new Map<Promise<void>, string>();
  const stop = new AbortController();

  const start = (claimed: WebhookDelivery): void => {
    const attempt = attemptDelivery(deps, claimed, stop.signal)
      .catch((error: unknown) => deps.onError(error, claimed))
      .finally(() => {
        running.delete(attempt);
        rounds.wake();
      });
    running.set(attempt, claimed.projectId);
  };

  const startDue = async (signal: AbortSignal): Promise<void> => {
    while (running.size < MAX_ATTEMPTS && !signal.aborted) {
      const now = deps.now();
      const exceptProjects = busyProjects(running.values());
      const due = await listDueDeliveries(deps.db, { now, exceptProjects, limit: MAX_ATTEMPTS - running.size });
      if (due.length === 0) return;
      for (const delivery of due) {
        if (signal.aborted || busyProjects(running.values()).includes(delivery.projectId)) continue;
        const until = now + (deps.timeoutMs ?? TIMEOUT_MS) + CLAIM_MARGIN_MS;
        const claimed = await claimDelivery(deps.db, delivery, until);
        if (claimed !== undefined) start(claimed);
      }
    }
  };

  const rounds = createRepeated(startDue, { everyMs: deps.everyMs ?? SECOND, onError: deps.onError });
  return {
    wake: rounds.wake,
    async close() {
      stop.abort();
      await rounds.close();
      await Promise.all(running.keys());
    },
  };
}

/** Those that have as many attempts as a project may have. */
function busyProjects(projects: Iterable<string>): string[] {
  const counts = new Map<string, number>();
  for (const project of projects) counts.set(project, (counts.get(project) ?? 0) + 1);
  return [...counts].filter(([, count]) => count >= MAX_ATTEMPTS_OF_PROJECT).map(([project]) => project);
}

async function attemptDelivery(deps: WebhookSenderDeps, claimed: WebhookDelivery, stopped: AbortSignal): Promise<void> {
  const failure = await send(deps, claimed, stopped);
  if (failure === undefined) return deleteDelivery(deps.db, claimed.id);
  if (stopped.aborted) return postponeDelivery(deps.db, claimed, deps.now());
  const nextTime = deps.now() + (BACKOFF_MS[claimed.attempts - 1] ?? LAST_BACKOFF_MS);
  const isLast = failure.isFinal || nextTime > claimed.createTime + GIVE_UP_MS;
  deps.onError(new Error(`${failure.message}${isLast ? ' It is not tried again.' : ''}`, failure), claimed);
  await (isLast ? deleteDelivery(deps.db, claimed.id) : postponeDelivery(deps.db, claimed, nextTime));
}

interface Failure {
  readonly message: string;
  /** True when the receiver wants no more attempts. */
  readonly isFinal: boolean;
  readonly cause?: unknown;
}

/** Undefined when there is nothing left to do: it was delivered, or the project has no webhook any more. */
async function send(
  deps: WebhookSenderDeps,
  { id, projectId, body }: WebhookDelivery,
  stopped: AbortSignal,
): Promise<Failure | undefined> {
  const webhook = (await findProject(deps.db, projectId))?.approvalWebhook;
  if (webhook === undefined) return undefined;
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(deps.timeoutMs ?? TIMEOUT_MS)]);
  try {
    const signed = webhookHeaders(await deps.open(webhook.sealedSecret), { id, time: deps.now(), body });
    const headers = { ...signed, 'content-type': 'application/json', 'user-agent': 'Portcullis' };
    const { status } = await deps.send({ url: webhook.url, headers, body, signal });
    if (status >= 200 && status < 300) return undefined;
    return { message: `The webhook answered with the status ${status}.`, isFinal: status === GONE };
  } catch (cause) {
    return { message: 'The webhook did not answer.', isFinal: false, cause };
  }
}

/** HTTP 410: the receiver wants no more of it. */
const GONE = 410;

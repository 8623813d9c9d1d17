import type { ClientAnswer } from './client-answer.ts';
import type { JsonObject } from './json-rpc.ts';

export type LazyStream = ReturnType<typeof createLazyStream>;

/** An event stream that begins with its first message, and not before `before` resolved. */
export function createLazyStream(answer: ClientAnswer, before: Promise<unknown> | undefined) {
  let sent: Promise<void> | undefined;
  let bytes = 0;

  async function open(): Promise<void> {
    await before;
    answer.startStream();
  }

  async function sendAfter(
    previous: Promise<void>,
    message: JsonObject | Promise<JsonObject | undefined>,
  ): Promise<void> {
    await previous;
    const ready = message instanceof Promise ? await message : message;
    if (ready !== undefined) {
      const json = JSON.stringify(ready);
      bytes += json.length;
      answer.sendEvent(json);
    }
  }

  return {
    /** Resolves when everything that was to be sent so far has been, or never will be. */
    flush: async () => sent?.catch(() => {}),
    bytes: () => bytes,
    /** Sends a message after those before it; one that turns out to be undefined is left out. */
    send: (message: JsonObject | Promise<JsonObject | undefined>): void => {
      sent = sendAfter(sent ?? open(), message);
      // The answer to the call reports what went wrong with `before`.
      sent.catch(() => {});
    },
  };
}

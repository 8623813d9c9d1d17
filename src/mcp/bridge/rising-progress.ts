import { type JsonObject, paramsOf } from '../../upstream/message.ts';

/**
 * Progress of a request that is sent several times under one token of its client: it must rise with every notification (specification
 * 2025-11-25, basic/utilities/progress), so each repetition goes on where the one before was.
 */
export function createRisingProgress() {
  let base = 0;
  let last = 0;

  /** The message as the client gets it. */
  function translate(message: JsonObject): JsonObject {
    const params = paramsOf(message);
    const { progress, total } = params;
    if (message['method'] !== 'notifications/progress' || typeof progress !== 'number') {
      return message;
    }
    last = Math.max(last, base + progress);
    if (base === 0) {
      return message;
    }
    const risen = typeof total === 'number' ? { total: base + total } : {};
    return { ...message, params: { ...params, progress: base + progress, ...risen } };
  }

  /** The request is sent again. */
  function begin(): void {
    base = last;
  }

  return { translate, begin };
}

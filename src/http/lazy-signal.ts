import { Code, ConnectError } from '@connectrpc/connect';
import { onClose } from '../mcp/answer.ts';
import type { EdgeRequest } from './edge-request.ts';

/**
 * The signal of a request: aborted when its caller leaves, its deadline (`Connect-Timeout-Ms`) passes or the process stops. Made when it is
 * first asked for: most requests are answered before anybody does.
 */
export function createLazySignal({ request, response }: EdgeRequest, stopping?: AbortSignal): () => AbortSignal {
  let made: AbortSignal | undefined;
  const make = (): AbortSignal => {
    const controller = new AbortController();
    const end = (reason: unknown) => controller.abort(reason);
    const onStop = () => end(stopping?.reason);
    const timeout = request.headers['connect-timeout-ms'];
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => end(new ConnectError('The deadline has passed.', Code.DeadlineExceeded)), Number(timeout));
    stopping?.addEventListener('abort', onStop);
    onClose(response, () => {
      clearTimeout(timer);
      stopping?.removeEventListener('abort', onStop);
      if (!response.writableFinished) {
        end(new ConnectError('The caller has left.', Code.Canceled));
      }
    });
    if (stopping?.aborted) {
      onStop();
    }
    return controller.signal;
  };
  return () => (made ??= make());
}

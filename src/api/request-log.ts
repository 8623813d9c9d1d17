import type { DescMethod } from '@bufbuild/protobuf';
import { Code, type ConnectError, type Interceptor } from '@connectrpc/connect';
import type { Logger } from 'pino';
import { ToolService } from '../../gen/portcullis/v1/tool_service_pb.ts';
import { getRequestFacts, type RequestFacts } from './context.ts';
import { toApiFailure } from './errors.ts';

/** Writes one line a request and turns what was thrown into what the caller gets; the outermost interceptor. */
export function createRequestLog(log: Logger): Interceptor {
  return (next) => async (request) => {
    const facts = getRequestFacts(request.contextValues);
    const line = startLine(log, request.method, facts);
    try {
      const response = await next(request);
      if (!response.stream) {
        line.succeed();
        return response;
      }
      return { ...response, message: observe(response.message, line) };
    } catch (error) {
      throw line.fail(error);
    }
  };
}

/** Logs a request that is refused before its body is read, and returns what to throw. */
export function logRefusal(log: Logger, method: DescMethod, facts: RequestFacts, error: unknown): ConnectError {
  return startLine(log, method, facts).fail(error);
}

/** Every one of their requests that succeeds has its Decision, with the request id: a line for each would only cost. */
const RECORDED: ReadonlySet<DescMethod> = new Set([ToolService.method.callTool, ToolService.method.authorize]);

interface Line {
  succeed(): void;
  fail(error: unknown): ConnectError;
}

function startLine(log: Logger, method: DescMethod, facts: RequestFacts): Line {
  const startTime = performance.now();
  const fields = () => ({
    request_id: facts.requestId,
    method: `${method.parent.typeName}/${method.name}`,
    ...(facts.caller === undefined ? {} : { principal_id: facts.caller.id, key_prefix: facts.caller.keyPrefix }),
    duration_ms: Math.round((performance.now() - startTime) * 1000) / 1000,
  });
  return {
    succeed() {
      const level = RECORDED.has(method) ? 'debug' : 'info';
      if (log.isLevelEnabled(level)) {
        log[level]({ ...fields(), code: 'ok' }, 'api request');
      }
    },
    fail: (error) => {
      const { sent, reason } = toApiFailure(error, facts.requestId);
      const answer = { ...fields(), code: Code[sent.code], reason };
      if (reason === 'internal') {
        log.error({ ...answer, err: sent.cause }, 'api request failed');
      } else {
        log.info(answer, 'api request');
      }
      return sent;
    },
  };
}

/** Passes a stream on and writes its line when it ends, also when the caller leaves first. */
async function* observe<T>(messages: AsyncIterable<T>, line: Line): AsyncGenerator<T> {
  let failed = false;
  try {
    yield* messages;
  } catch (error) {
    failed = true;
    throw line.fail(error);
  } finally {
    if (!failed) {
      line.succeed();
    }
  }
}

import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import type { DecisionService } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { WatchDecisionsResponseSchema } from '../../gen/portcullis/v1/decision_service_pb.ts';
import { refusal } from './fake-gateway.ts';

/** A log of decisions `d1`, `d2`, … whose cursors are `c1`, `c2`, …, with a watch as the contract describes it. */
export function createDecisionLog() {
  let length = 0;
  let wake = () => {};
  const cursors: string[] = [];
  let open = 0;
  let onIdle = () => {};

  async function* follow(first: number, signal: AbortSignal) {
    let next = first;
    yield checkpointResponse(next - 1);
    while (!signal.aborted) {
      for (; next <= length; next++) {
        yield decisionResponse(next);
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        signal.addEventListener('abort', () => resolve());
      });
    }
    throw new ConnectError('The watch is over.', Code.Unavailable);
  }

  const watchDecisions: ServiceImpl<typeof DecisionService>['watchDecisions'] = async function* (
    { cursor },
    { signal },
  ) {
    cursors.push(cursor);
    if (!/^(c\d+)?$/.test(cursor)) throw refusal(Code.InvalidArgument, 'ERROR_REASON_CURSOR_INVALID');
    open++;
    try {
      yield* follow(cursor === '' ? length + 1 : Number(cursor.slice(1)) + 1, signal);
    } finally {
      open--;
      if (open === 0) onIdle();
    }
  };

  return {
    watchDecisions,
    /** The cursor of every watch that was opened. */
    cursors,
    append(count: number): void {
      length += count;
      wake();
    },
    /** Resolves when no watch is open. */
    whenIdle: () =>
      new Promise<void>((resolve) => {
        onIdle = resolve;
        if (open === 0) resolve();
      }),
  };
}

/** The response that carries the decision of this number. */
export function decisionResponse(number: number) {
  return create(WatchDecisionsResponseSchema, {
    value: { case: 'decision', value: { id: `d${number}` } },
    cursor: `c${number}`,
  });
}

/** A checkpoint behind the decision of this number. */
export function checkpointResponse(number: number) {
  return create(WatchDecisionsResponseSchema, { value: { case: 'checkpoint', value: {} }, cursor: `c${number}` });
}

/** A message as it stands in a Connect stream. */
export function envelope<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Buffer {
  const bytes = toBinary(schema, message);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

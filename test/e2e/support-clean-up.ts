import { expect } from 'vitest';
import { type GatewayOptions, type GatewayProcess, startGateway } from '../support/gateway-process.ts';

/** Ends what a test file started, also when its preparation failed half way. */
export interface CleanUp {
  /** Starts a gateway that, unless a test ends it first, must end in order. */
  startGateway(options?: GatewayOptions): Promise<GatewayProcess>;
  /** Notes how something that is being started ends, and hands it on. */
  add<Thing>(starting: Promise<Thing>, end: (thing: Thing) => Promise<unknown>): Promise<Thing>;
  /** Ends everything, newest first; throws the first failure after all has been tried. For `afterAll`. */
  run(): Promise<void>;
}

/** Makes one for a test file or a suite. */
export function createCleanUp(): CleanUp {
  const ends: (() => Promise<unknown>)[] = [];

  function add<Thing>(starting: Promise<Thing>, end: (thing: Thing) => Promise<unknown>): Promise<Thing> {
    // Whoever asked for it hears why it did not start; then there is nothing to end.
    const started = starting.then(
      (thing) => () => end(thing),
      () => async () => {},
    );
    ends.push(async () => (await started)());
    return starting;
  }

  return {
    add,
    startGateway: (options) => add(startGateway(options), stopInOrder),
    async run() {
      const failures: unknown[] = [];
      for (const end of ends.splice(0).toReversed()) {
        await end().catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) {
        throw failures[0];
      }
    },
  };
}

async function stopInOrder(gateway: GatewayProcess): Promise<void> {
  const { exitCode, signalCode } = gateway.process;
  if (exitCode === null && signalCode === null) {
    expect(await gateway.stop()).toBe(0);
  }
}

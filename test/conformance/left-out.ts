import type { Revision } from './suite.ts';

/** How a way through the gateway differs from the upstream's own slug. */
export type WayKind = 'same era' | 'gateway' | 'other era';

/** Checks that mean nothing, or something else, on some of the ways. */
export interface LeftOut {
  /** The requirement set that is run: the client's era. */
  readonly revision: Revision;
  readonly ways: readonly WayKind[];
  /** A scenario, or all that begin so: `tasks-*`. */
  readonly scenario: string;
  /** Checks of the scenario, without the number of a repeated one; absent = all. */
  readonly checks?: readonly string[];
  /** Why, from the specification. */
  readonly reason: string;
}

const COMPOSED: readonly WayKind[] = ['gateway', 'other era'];

/** Everything that is not compared, with the reason. */
export const LEFT_OUT: readonly LeftOut[] = [
  {
    revision: '2025-11-25',
    ways: COMPOSED,
    scenario: 'server-sse-polling',
    reason:
      'Event ids are a MAY (basic/transports, Resumability and Redelivery): streams that the gateway itself makes of several upstreams, or of another era, have none. Streams of upstreams are resumed by the gateway.',
  },
  {
    revision: '2025-11-25',
    ways: COMPOSED,
    scenario: 'server-sse-multiple-streams',
    checks: ['server-sse-streams-functional'],
    reason:
      'A request is answered with JSON or with a stream (basic/transports, Sending Messages to the Server): the gateway answers with JSON when there is nothing before the answer, and the check is then only told.',
  },
  {
    revision: '2026-07-28',
    ways: COMPOSED,
    scenario: 'tasks-*',
    reason:
      'Tasks are an extension that both sides must declare (basic, Extensions). A gateway of several upstreams does not declare it, and upstreams of the older revisions do not have it.',
  },
  {
    revision: '2026-07-28',
    ways: ['other era'],
    scenario: 'input-required-result-basic-elicitation',
    reason:
      'The key of an input request is chosen by the server (basic/patterns/mrtr); a request of an older revision has an id and no key, so the gateway chooses one.',
  },
  {
    revision: '2026-07-28',
    ways: ['other era'],
    scenario: 'input-required-result-ignore-extra-params',
    checks: ['sep-2322-ignore-unexpected-params'],
    reason: 'The check answers under the key of the fixture, which an upstream of an older revision cannot give.',
  },
  {
    revision: '2026-07-28',
    ways: ['other era'],
    scenario: 'input-required-result-capability-check',
    checks: ['sep-2322-respect-client-capabilities'],
    reason:
      'The fixture reads the capabilities of the request, which in the older revisions are those of the session (basic/lifecycle).',
  },
  {
    revision: '2026-07-28',
    ways: ['other era'],
    scenario: 'server-stateless',
    checks: ['sep-2575-server-rejects-undeclared-capability', 'sep-2575-missing-capability-http-400'],
    reason:
      'An upstream of an older revision that asks for what the client did not declare gets an error for its request, and goes on without (client/*, Error Handling): its call is not over.',
  },
];

/** True when this check is not compared on such a way. */
export function isLeftOut(revision: Revision, way: WayKind, scenario: string, check: string): boolean {
  return LEFT_OUT.some(
    (left) =>
      left.revision === revision &&
      left.ways.includes(way) &&
      matches(left.scenario, scenario) &&
      (left.checks?.includes(check.replace(/#\d+$/, '')) ?? true),
  );
}

function matches(pattern: string, scenario: string): boolean {
  return pattern.endsWith('*') ? scenario.startsWith(pattern.slice(0, -1)) : scenario === pattern;
}

import type { Requirement } from './requirement.ts';
import { gatewayRequirements } from './requirements-gateways.ts';
import { issueRequirements } from './requirements-issue.ts';
import { policyRequirements } from './requirements-policies.ts';

const DATA_PLANE = 'product.md, Data plane';
const PROMISES = 'product.md, Promises';
const CHECKLIST = 'mcp.md, Checklist';

/** Every requirement, each proved by at least one test; `requirements.test.ts` checks that. */
export const requirements: readonly Requirement[] = [
  ...issueRequirements,
  ...policyRequirements,
  ...gatewayRequirements,

  // The data plane.
  { id: 'PD-CREDENTIALS', source: DATA_PLANE, text: 'Three headers carry a credential; the query string never does.' },
  { id: 'PD-SLUG-OR-ID', source: DATA_PLANE, text: 'A slug or id resolves to an upstream.' },
  { id: 'PD-METHODS', source: DATA_PLANE, text: 'Other methods than GET, POST and DELETE: 405 method_not_allowed.' },
  { id: 'PD-ORDER', source: DATA_PLANE, text: 'Method, then authentication, then slug, then the body.' },
  { id: 'PD-REQUEST-ID', source: DATA_PLANE, text: 'X-Request-Id on every response.' },
  { id: 'PD-BAD-GATEWAY', source: DATA_PLANE, text: 'bad_gateway is 502.' },
  {
    id: 'PD-UNAVAILABLE',
    source: DATA_PLANE,
    text: 'Without its store the gateway refuses calls.',
    citedBy: [
      'test/e2e/kill.test.ts: that cannot write decisions forwards nothing, or answers nothing where calls may be forwarded before',
    ],
  },
  {
    id: 'PD-APPROVAL',
    source: DATA_PLANE,
    text: 'Approval needed is -32002, for modern clients -31002.',
    citedBy: [
      'test/e2e/clients.test.ts: answers -32002 to a legacy client, and the upstream never sees the call',
      'test/e2e/clients.test.ts: answers -31002 to a modern client, and the upstream never sees the call',
    ],
  },
  {
    id: 'PD-DECISION-STREAM',
    source: DATA_PLANE,
    text: 'GET without a session: notifications/session, then decision envelopes that the caller may see.',
    citedBy: [
      'test/e2e/watch.test.ts: follow after notifications/session, as envelopes that explain themselves',
      'test/e2e/watch.test.ts: are those of everybody for gateway:read, and the own ones only without it',
    ],
  },
  {
    id: 'PD-RESERVED-SLUGS',
    source: DATA_PLANE,
    text: 'upstreams, gateways and tools are reserved.',
    citedBy: ['test/api/upstream-service.test.ts: has a slug of its own that is not reserved and not an id'],
  },
  {
    id: 'PD-RECORDED',
    source: 'product.md, Control plane',
    text: 'A decision for every call and every refusal of a known caller, none for lists and strangers.',
  },
  {
    id: 'PD-RECORDED-ARGUMENTS',
    source: 'product.md, Control plane',
    text: 'Arguments NONE, REDACTED up to 4 KiB, or FULL; the digest always.',
  },

  // Promises.
  { id: 'PR-DECISION-FIRST', source: PROMISES, text: 'No call reaches an upstream without a committed decision.' },
  {
    id: 'PR-SECRETS-STAY-IN',
    source: PROMISES,
    text: 'Upstream credentials are encrypted at rest and never returned, logged, or put in an error.',
  },
  {
    id: 'PR-REPLICAS',
    source: PROMISES,
    text: 'Many processes on one database act as one, without sticky sessions.',
    citedBy: [
      'test/e2e/replicas.test.ts: two replicas that start at the same moment on an empty database make one installation',
      'test/e2e/replicas.test.ts: what changes on one replica holds on the other within a second:',
    ],
  },
  {
    id: 'PR-ANY-ERA',
    source: 'issue 4, Build 4',
    text: 'A client of another era than its upstream is served all the same.',
    citedBy: [
      'test/e2e/clients.test.ts: that is legacy uses it all the same',
      'test/e2e/clients.test.ts: that is modern uses it all the same',
    ],
  },

  // What the MCP endpoint must do.
  { id: 'MC-202', source: `${CHECKLIST} 1`, text: 'Notifications and responses get 202 without a body.' },
  { id: 'MC-ACCEPT', source: `${CHECKLIST} 1`, text: 'Accept must allow JSON and event streams.' },
  {
    id: 'MC-IDS',
    source: `${CHECKLIST} 1`,
    text: 'Ids come back unchanged in type and value.',
    citedBy: ['test/upstream/channel-messages.test.ts: the id %j comes back unchanged'],
  },
  {
    id: 'MC-HEADER-MISMATCH',
    source: `${CHECKLIST} 2`,
    text: 'M: header and body differ, or a header is missing: 400 and -32020.',
  },
  { id: 'MC-UNSUPPORTED-VERSION', source: `${CHECKLIST} 2`, text: 'M: unsupported version: 400 and -32022 with data.' },
  { id: 'MC-META-KEYS', source: `${CHECKLIST} 2`, text: 'M: missing _meta key: 400 and -32602.' },
  { id: 'MC-BODY-DECIDES', source: `${CHECKLIST} 3`, text: 'The body decides, never a header alone.' },
  { id: 'MC-UNAMBIGUOUS', source: `${CHECKLIST} 3`, text: 'What two parsers could read differently is refused.' },
  { id: 'MC-HOST', source: `${CHECKLIST} 4`, text: 'A foreign Host: 403.' },
  { id: 'MC-ORIGIN', source: `${CHECKLIST} 4`, text: 'An invalid Origin: 403.' },
  { id: 'MC-BYTES', source: `${CHECKLIST} 5`, text: 'Bytes pass through unchanged both ways.' },
  {
    id: 'MC-NO-CLIENT-CREDENTIALS',
    source: `${CHECKLIST} 6`,
    text: 'Authorization, key headers, cookies and Host of the client are never forwarded.',
  },
  {
    id: 'MC-SSE',
    source: `${CHECKLIST} 7`,
    text: 'SSE event by event, unbuffered, with ids, retry and Last-Event-ID.',
  },
  {
    id: 'MC-ABORT',
    source: `${CHECKLIST} 8`,
    text: 'A client that disconnects aborts the upstream request.',
    citedBy: ['test/upstream/channel-messages.test.ts: a client that goes away cancels its call'],
  },
  {
    id: 'MC-SHARED-IDS',
    source: `${CHECKLIST} 9`,
    text: 'Ids and progress tokens are rewritten on shared connections.',
    citedBy: [
      'test/upstream/channel-messages.test.ts: 50 clients with equal ids and progress tokens get their own answers and progress only',
    ],
  },
  {
    id: 'MC-SESSION-BOUND',
    source: `${CHECKLIST} 10`,
    text: 'Another principal’s session is 404.',
    citedBy: ['test/e2e/isolation.test.ts: is not found by another principal, whatever it sends'],
  },
  { id: 'MC-SESSION-400', source: `${CHECKLIST} 10`, text: 'No session id where one is needed: 400.' },
  { id: 'MC-SESSION-404', source: `${CHECKLIST} 10`, text: 'An unknown session id: 404.' },
  {
    id: 'MC-SESSION-DELETE',
    source: `${CHECKLIST} 10`,
    text: 'DELETE ends a session, on every replica and at the upstream.',
    citedBy: ['test/e2e/isolation.test.ts: is not found on any replica after it has ended'],
  },
  {
    id: 'MC-ANY-REPLICA',
    source: `${CHECKLIST} 11`,
    text: 'Any replica can serve any session.',
    citedBy: ['test/e2e/replicas.test.ts: a session outlives the replica that opened it'],
  },
  {
    id: 'MC-SESSION-LOST',
    source: `${CHECKLIST} 12`,
    text: 'A session lost by the upstream is opened anew where nothing was lost, else 404.',
    citedBy: ['test/upstream/own-client.test.ts: open a new session once when the upstream has lost it'],
  },
  {
    id: 'MC-LIST-CHANGED',
    source: `${CHECKLIST} 16`,
    text: 'A change in an upstream’s list reaches everybody.',
    citedBy: ['test/upstream/channel-messages.test.ts: reaches everybody when a list changed'],
  },
  { id: 'MC-VERSION-HEADER', source: 'mcp.md, The two eras', text: 'L: an invalid MCP-Protocol-Version is 400.' },
  {
    id: 'MC-NO-SESSION-M',
    source: 'mcp.md, The two eras',
    text: 'M: the session header is ignored, never minted or echoed.',
  },
  { id: 'MC-GET-405-M', source: 'mcp.md, The two eras', text: 'M: GET and DELETE are 405.' },
];

import type { Requirement } from './requirement.ts';

const MUST_SHOW = 'issue 2, Must show';
const BUILD = 'issue 2, Build';

/** What the issue demands, beyond what product.md and mcp.md do. */
export const issueRequirements: readonly Requirement[] = [
  // What the issue must show.
  {
    id: 'MS-PRINTED-ONCE',
    source: `${BUILD} 5`,
    text: 'The first start prints user, password and key once; they are never printed again.',
  },
  { id: 'MS-DEMO', source: MUST_SHOW, text: 'With the printed key a tool of the demo upstream is listed and called.' },
  { id: 'MS-DENIED', source: MUST_SHOW, text: 'A denied tool answers -32001 and the upstream never sees it.' },
  { id: 'MS-BUF-CURL', source: MUST_SHOW, text: 'buf curl works without a schema over gRPC, gRPC-Web and Connect.' },
  { id: 'MS-HTTP-GET', source: MUST_SHOW, text: 'Reads work as HTTP GET.' },
  {
    id: 'MS-CLIENTS',
    source: MUST_SHOW,
    text: 'Inspector, 2.x client of both eras and 1.x client list and call tools over all three transports.',
    citedBy: ['test/e2e/clients.test.ts: lists and calls the tools of $slug'],
  },
  {
    id: 'MS-CONFORMANCE',
    source: MUST_SHOW,
    text: 'The conformance suite gives the same result through the gateway as against the fixture, in CI.',
    citedBy: [
      'package.json: node test/conformance/run.ts',
      'test/conformance/comparison.test.ts: a check with another outcome is a difference, for the better too',
    ],
  },
  {
    id: 'MS-EQUAL-IDS',
    source: MUST_SHOW,
    text: '50 clients with equal ids and progress tokens never receive each other’s messages.',
    citedBy: ['test/e2e/isolation.test.ts: 50 clients at once that use equal ids and progress tokens'],
  },
  {
    id: 'MS-KILL',
    source: MUST_SHOW,
    text: 'Killed under load 20 times on both databases: every received call has its decision, a watcher gets each once.',
    citedBy: [
      'test/e2e/kill.test.ts: killed under load again and again has a decision for every call that reached an upstream or was answered, and a watcher gets each once',
    ],
  },
  { id: 'MS-NO-KEY', source: MUST_SHOW, text: 'No key: 401 invalid_api_key.' },
  { id: 'MS-MALFORMED-KEY', source: MUST_SHOW, text: 'A malformed or unknown key: 401 invalid_api_key.' },
  { id: 'MS-EXPIRED-KEY', source: MUST_SHOW, text: 'An expired key: 401 api_key_expired.' },
  { id: 'MS-REVOKED-KEY', source: MUST_SHOW, text: 'A revoked key: 401 api_key_revoked.' },
  { id: 'MS-UNKNOWN-SLUG', source: MUST_SHOW, text: 'An unknown slug: 404 not_found.' },
  { id: 'MS-DISABLED-UPSTREAM', source: MUST_SHOW, text: 'A disabled upstream: 403 permission_denied.' },
  { id: 'MS-NO-GRANT', source: MUST_SHOW, text: 'No grant: 403 permission_denied, the same for what does not exist.' },
  { id: 'MS-BROKEN-JSON', source: MUST_SHOW, text: 'Broken JSON: -32700.' },
  { id: 'MS-BATCH', source: MUST_SHOW, text: 'A batch: -32600.' },
  { id: 'MS-NULL-ID', source: MUST_SHOW, text: 'The id null: -32600.' },
  { id: 'MS-2-MIB', source: MUST_SHOW, text: 'A body of 2 MiB: 413 payload_too_large.' },
  { id: 'MS-NESTING', source: MUST_SHOW, text: 'Nesting 10,000 deep: -32600.' },
  { id: 'MS-CONTENT-TYPE', source: MUST_SHOW, text: 'A wrong content type: 400 validation_failed.' },
  { id: 'MS-UNKNOWN-METHOD', source: MUST_SHOW, text: 'An unknown method: -32601; in the modern era with 404.' },
  { id: 'MS-SMUGGLING', source: MUST_SHOW, text: 'Header smuggling: refused, nothing smuggled reaches anything.' },
  { id: 'MS-SLOW-UPLOAD', source: MUST_SHOW, text: 'A slow upload: refused after the time limit.' },
  { id: 'MS-SLOW-HEADERS', source: MUST_SHOW, text: 'A connection that sends nothing, or half of a head: closed.' },
  { id: 'MS-UPSTREAM-DOWN', source: MUST_SHOW, text: 'An upstream that is down: -32603.' },
  { id: 'MS-UPSTREAM-HANGS', source: MUST_SHOW, text: 'An upstream that hangs: -32603 after its timeout.' },
  { id: 'MS-UPSTREAM-GARBAGE', source: MUST_SHOW, text: 'An upstream that answers garbage: -32603.' },
  { id: 'MS-UPSTREAM-500', source: MUST_SHOW, text: 'An upstream that answers 500: -32603.' },
  {
    id: 'MS-UPSTREAM-CLOSES',
    source: MUST_SHOW,
    text: 'An upstream that closes in the middle of an answer or a stream: -32603.',
  },
  { id: 'MS-STAYS-UP', source: MUST_SHOW, text: 'The process stays up after all bad input.' },
  { id: 'MS-NO-MEMORY-KEPT', source: MUST_SHOW, text: 'Bad input leaves no memory behind.' },
  {
    id: 'MS-README',
    source: 'issue 2, README’s two commands',
    text: 'One command starts, one tests, on a machine with Node 20, npm and git.',
    citedBy: [
      "test/e2e/readme.test.ts: [README] the snippets of the README work in their order, with the first start's key",
      'test/e2e/readme.test.ts: [README] the first start and the tests are one command each, as package.json has them',
    ],
  },

  // What the issue builds besides.
  { id: 'SV-H2C', source: `${BUILD} 3`, text: 'One port for HTTP/1.1 and HTTP/2.' },
  { id: 'SV-TLS', source: `${BUILD} 3`, text: 'TLS with ALPN when a certificate is configured.' },
  { id: 'SV-HEALTH', source: `${BUILD} 3`, text: '/healthz, /readyz and /health.' },
  { id: 'SV-GRPC-HEALTH', source: `${BUILD} 3`, text: 'grpc.health.v1.' },
  { id: 'SV-GRACEFUL', source: `${BUILD} 3`, text: 'A stop finishes calls in progress.' },
  { id: 'SV-CORS', source: `${BUILD} 6`, text: 'Configured origins may call from a browser, others may not.' },
  {
    id: 'ST-BOTH-DATABASES',
    source: `${BUILD} 4`,
    text: 'Migrations at start under a lock; the same tests on every database.',
    citedBy: [
      'test/store/postgres-store.test.ts: may start at the same time on an empty database',
      'test/store/log.test.ts: the decision log on $name',
    ],
  },
  { id: 'ST-ONE-PROCESS', source: `${BUILD} 4`, text: 'A second process on the same data folder is refused.' },
  { id: 'ID-SCOPES', source: `${BUILD} 5`, text: 'A key does what its scopes say.' },
  { id: 'ID-ROTATION', source: `${BUILD} 5`, text: 'Rotation with an overlap.' },
  { id: 'ID-LOGIN', source: `${BUILD} 5`, text: 'Login answers tokens that anybody can check by JWKS.' },
  { id: 'ID-TOKEN-MCP', source: `${BUILD} 5`, text: 'A user’s token works on the MCP face within the user’s scopes.' },
  {
    id: 'ID-REFRESH',
    source: `${BUILD} 5`,
    text: 'Refresh tokens are good once.',
    citedBy: ['test/authn/refresh-token.test.ts: are traded for new tokens, each once'],
  },
  {
    id: 'ID-PROJECT',
    source: `${BUILD} 5`,
    text: 'Every read and write is confined to the caller’s project.',
    citedBy: [
      'test/api/identity.test.ts: of another project looks like one that does not exist',
      'test/api/upstream-service.test.ts: of another project, or without a grant, looks like one that does not exist',
      'test/api/decision-service.test.ts: of another project, or of an upstream that is not granted, looks like one that does not exist',
    ],
  },
  { id: 'CF-BAD-SETTINGS', source: `${BUILD} 6`, text: 'Every bad setting in one message, exit 1.' },
  { id: 'CF-WEAK-KEY', source: `${BUILD} 6`, text: 'A weak bootstrap key is refused.' },
  { id: 'CF-NO-OPEN-DOOR', source: `${BUILD} 6`, text: 'No authentication only on loopback.' },
  {
    id: 'UP-CREDENTIALS',
    source: `${BUILD} 7`,
    text: 'Custom headers, bearer, basic and environment reach the upstream.',
  },
  { id: 'UP-SSRF', source: `${BUILD} 7`, text: 'Addresses that are not public are reached only when configured.' },
  { id: 'UP-STDIO-ALLOWED', source: `${BUILD} 7`, text: 'Only allowed commands run.' },
  {
    id: 'UP-PROCESSES',
    source: `${BUILD} 7`,
    text: 'A process per principal, session or upstream; restarted, capped, ended when idle.',
    citedBy: [
      'test/upstream/channels.test.ts: per principal: sessions share when version and capabilities are equal, principals never',
      'test/upstream/channels.test.ts: never exceeds the maximum: the one unused for longest makes room, one that is listened to last',
      'test/upstream/channels.test.ts: shrinks when they are idle, unless somebody listens',
    ],
  },
  {
    id: 'UP-ERA',
    source: `${BUILD} 7`,
    text: 'The era of an upstream is probed and remembered, or set.',
    citedBy: [
      'test/upstream/era.test.ts: that the operator set is not asked for',
      'test/upstream/era.test.ts: is modern for a server of the official SDK, over HTTP and over stdio',
    ],
  },
  {
    id: 'UP-TEST',
    source: `${BUILD} 7`,
    text: 'TestUpstream and ListUpstreamTools.',
    citedBy: [
      'test/api/upstream-service.test.ts: reports how a test went',
      'test/api/upstream-service.test.ts: lists its tools by name with what the filter says, page by page',
    ],
  },
  {
    id: 'DL-WATCH',
    source: `${BUILD} 9`,
    text: 'Decisions are watched with resume, also across replicas.',
    citedBy: [
      'test/e2e/watch.test.ts: come once and in the order of the log to a watcher that leaves and returns while many write',
      'test/e2e/replicas.test.ts: watchers on both replicas get the decisions of both, each once and in the same order',
    ],
  },
  {
    id: 'TS-PIPELINE',
    source: `${BUILD} 10`,
    text: 'ToolService goes through the same pipeline.',
    citedBy: ['test/api/tool-service.test.ts: goes through the pipeline with its caller and its request id'],
  },
  {
    id: 'SD-CLIENT',
    source: `${BUILD} 11`,
    text: 'The SDK: a typed client per service, login, paging, a watch that resumes, typed errors.',
    citedBy: [
      'sdk/test/client.test.ts: reaches every service by its name',
      'sdk/test/watch-decisions.test.ts: goes on with the next decision, so that each comes exactly once',
      'sdk/test/paginate.test.ts: goes through all pages, past an empty one, until there is no next page',
      'sdk/test/errors.test.ts: has the reason, message, code, metadata and request id that were sent',
    ],
  },
];

import type { Requirement } from './requirement.ts';

const MUST_SHOW = 'issue 4, Must show';
const BUILD = 'issue 4, Build';

/** What the issue about gateways of many upstreams, and any client with any upstream, demands. */
export const gatewayRequirements: readonly Requirement[] = [
  // What the issue must show.
  {
    id: 'I4-DOCUMENT',
    source: MUST_SHOW,
    text: "The document's example: stored view, expanded view, each sentence about precedence and deduplication.",
    citedBy: [
      'test/api/gateway-config.test.ts: is stored as references and overrides only',
      'test/api/gateway-config.test.ts: is expanded like this',
      'test/api/gateway-config.test.ts: gives my-filesystem-server the input guardrails of common_overrides, which its config does not repeat',
      'test/api/gateway-config.test.ts: drops the input guardrails of my-github-server, because common wins, but echoes them in its overrides',
      'test/api/gateway-config.test.ts: has the guardrails of tool definitions once, at the top',
      "test/api/gateway-config.test.ts: is the upstream's own, where the gateway says nothing",
      "test/api/gateway-config.test.ts: puts the entry before the upstream's own, as a whole",
      "test/api/gateway-config.test.ts: puts common_overrides before the upstream's own, which is then not in its config",
      'test/api/gateway-config.test.ts: puts common_overrides before the entry, for the key that both set',
      'test/api/gateway-config.test.ts: lets keys that common_overrides does not set flow through, also of the upstream itself',
    ],
  },
  {
    id: 'I4-MERGE-PATCH',
    source: MUST_SHOW,
    text: 'A table of merge-patch cases: null at every level, _delete of something missing, arrays replaced, additional_config merged.',
    citedBy: [
      'test/api/gateway-patch.test.ts: in a merge patch, %s',
      'test/api/gateway-patch.test.ts: a merge patch with %s',
      'test/api/gateway-service.test.ts: is patched, and every replica hears of it',
    ],
  },
  {
    id: 'I4-MIXED-UPSTREAMS',
    source: MUST_SHOW,
    text: 'Inspector and official clients of both eras list all living tools of six upstreams, one down, and call each kind.',
    citedBy: [
      'test/e2e/gateway-clients.test.ts: $name, at a gateway of six upstreams of which one is down,',
      'test/e2e/gateway-clients.test.ts: lists all living tools and calls $tool',
      'test/e2e/gateway-clients.test.ts: the list tells which upstream is missing, and why',
    ],
  },
  {
    id: 'I4-RESTART',
    source: MUST_SHOW,
    text: 'Kill and restart of one upstream while 20 clients work leaves the others undisturbed and heals.',
  },
  {
    id: 'I4-CONFORMANCE',
    source: MUST_SHOW,
    text: 'The conformance suite for both requirement sets against a fixture of the other era; what is left out, with the reason.',
    citedBy: [
      'package.json: node test/conformance/run.ts',
      'test/conformance/left-out.ts: Everything that is not compared, with the reason.',
    ],
  },
  {
    id: 'I4-SOAK',
    source: MUST_SHOW,
    text: '64 clients of both eras on one gateway for 60 s: everything reaches whom it is for, and memory returns.',
  },
  {
    id: 'I4-REPLICAS',
    source: MUST_SHOW,
    text: '3 replicas and one client session that moves between them at every request.',
  },
  { id: 'I4-LIST-CALL', source: MUST_SHOW, text: 'An upstream restarts between list and call.' },
  { id: 'I4-HANG', source: MUST_SHOW, text: 'One upstream hangs, lists and calls to others go on.' },
  {
    id: 'I4-BAD',
    source: MUST_SHOW,
    text: 'Prefix clash, unknown version, unknown key, wrong setting, huge or recursive schema, foreign cursor, long name.',
  },

  // What the issue builds besides.
  {
    id: 'I4-VERSIONS',
    source: `${BUILD} 1`,
    text: 'An upstream is addressed by slug and version.',
    citedBy: [
      'test/api/upstream-versions.test.ts: is what every method means that names it, by slug and version or by id',
      'test/api/upstream-versions.test.ts: is granted by itself: a grant of one version reaches no other',
    ],
  },
  {
    id: 'I4-TEMPLATES',
    source: `${BUILD} 1`,
    text: 'Upstreams are made from templates, shipped, own, or imported from a server.json.',
    citedBy: [
      'test/api/upstream-template-catalogue.test.ts: that ships with the server is valid, entry by entry',
      'test/api/upstream-template-fill.test.ts: that ships with the server gets its transport and secrets, which are never shown',
      'test/api/upstream-template-import.test.ts: from its remote first, whose secret header becomes a setting',
    ],
  },
  {
    id: 'I4-OVERRIDES',
    source: `${BUILD} 2`,
    text: 'Filters, renames, descriptions, defaults and fixed arguments of a gateway.',
    citedBy: [
      'test/catalogue/compose.test.ts: a tool that the filter of the entry keeps out is not offered',
      'test/catalogue/tool-definition.test.ts: fixed arguments are not shown, and defaults are told and not required',
      'test/catalogue/arguments.test.ts: fixed arguments win over the client, and defaults fill in what it left out',
    ],
  },
  {
    id: 'I4-COMPLETE-LIST',
    source: `${BUILD} 3`,
    text: 'After any reconnect of client or upstream the list is complete again, never stale or empty.',
  },
  {
    id: 'I4-NOT-LISTED',
    source: `${BUILD} 3`,
    text: 'What policy would never allow a principal is not listed to it.',
    citedBy: [
      'test/mcp/gateway-lists.test.ts: is not shown what policies deny',
      'test/mcp/list-filter.test.ts: is without what the tool filter of the upstream denies',
    ],
  },
  {
    id: 'I4-NAMES',
    source: `${BUILD} 3`,
    text: 'Prefixed names fit 64 characters, with a stable hash and the mapping in _meta.',
    citedBy: [
      'test/catalogue/names.test.ts: a name of 64 characters stays, one of 65 is shortened with a digest of upstream and name',
      'test/catalogue/tool-definition.test.ts: a tool under another name tells where it comes from, and keeps the order of its keys',
    ],
  },
  {
    id: 'I4-ANY-PAIRING',
    source: `${BUILD} 4`,
    text: 'Any client with any upstream: elicitation, sampling, roots, logging, progress, cancellation, subscriptions.',
    citedBy: [
      'test/mcp/bridge-official.test.ts: $name to $to',
      'test/mcp/gateway-pairing.test.ts: uses an upstream (%s) by its own slug, with the names and URIs that it has',
      'test/mcp/gateway-streams.test.ts: a %s client that listens',
      'test/e2e/gateway-asking.test.ts: %s is asked for each, and every call gets its own answer',
    ],
  },
  {
    id: 'I4-UPSTREAM-SESSIONS',
    source: `${BUILD} 4`,
    text: 'Upstream sessions are kept per principal and upstream, bounded, and rebuilt after a restart.',
    citedBy: [
      'test/upstream/streamable-sessions.test.ts: is shared by the clients of a principal with equal capabilities, never by principals, and opened once',
      'test/upstream/streamable-sessions.test.ts: survives a new process of the upstream',
      'test/upstream/streamable-sessions.test.ts: makes room when there are too many: the one unused for longest first, of any upstream, one that is listened to last',
    ],
  },
  {
    id: 'I4-SEARCH',
    source: `${BUILD} 5`,
    text: 'SEARCH shows three tools; calls made through them are decided and recorded as the real tool.',
    citedBy: [
      'test/mcp/gateway-search.test.ts: lists three tools, finds another with them, and calls it; it is recorded as the real one',
      'test/catalogue/tool-search.test.ts: the three tools cost a model fewer than 400 tokens',
    ],
  },
  {
    id: 'I4-TYPED-TOOLS',
    source: `${BUILD} 6`,
    text: 'A command writes typed functions for the tools of a gateway, and tells when they drifted.',
    citedBy: [
      'sdk/test/package.test.ts: writes functions that the compiler checks and that call the tools',
      'sdk/test/package.test.ts: tells when the tools are not those of the file any more, and changes nothing then',
    ],
  },
];

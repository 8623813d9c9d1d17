import type { Requirement } from './requirement.ts';

const MUST_SHOW = 'issue 3, Must show';
const BUILD = 'issue 3, Build';
const GOLDEN = 'test/golden/golden.test.ts: there are golden cases, each with a name of its own';

/** What the issue about policies, approvals, agents and the guard demands. */
export const policyRequirements: readonly Requirement[] = [
  // What the issue must show.
  { id: 'I3-GOLDEN', source: MUST_SHOW, text: 'At least 200 golden cases over every kind of rule.', citedBy: [GOLDEN] },
  {
    id: 'I3-PROPERTIES',
    source: MUST_SHOW,
    text: 'A DENY rule never loosens a decision, order of rules does not matter, decide() never throws.',
    citedBy: [
      'test/policy/decide-properties.test.ts: a new policy with a DENY rule, of whatever priority, never makes a decision less strict',
      'test/policy/decide-properties.test.ts: a DENY rule that is added to a policy never makes a decision less strict',
      'test/policy/decide-properties.test.ts: the order of policies and of rules changes nothing about a decision',
      'test/policy/decide-properties.test.ts: whatever the policies, arguments, state and time are, deciding does not throw',
    ],
  },
  {
    id: 'I3-GUARD-EXAMPLES',
    source: MUST_SHOW,
    text: 'A server of each MCP SDK is guarded in an example that runs as a test.',
    citedBy: [
      'test/e2e/guard.test.ts: decides and records every call of %s',
      'test/e2e/guard.test.ts: the examples of the SDK compile against the package as it is published',
    ],
  },
  {
    id: 'I3-GUARD-KILLED',
    source: MUST_SHOW,
    text: 'The gateway is killed in the middle: none slips through, and with onError allow all pass in silence.',
    citedBy: [
      'test/e2e/guard.test.ts: lets no call slip through, and its log holds every call that ran',
      'test/e2e/guard.test.ts: lets calls pass when onError is allow, without a word from onDenied',
    ],
  },
  { id: 'I3-APPROVE', source: MUST_SHOW, text: 'An approved call goes through, and is recorded with who and why.' },
  { id: 'I3-DENY', source: MUST_SHOW, text: 'A denied call is refused.' },
  { id: 'I3-EXPIRE', source: MUST_SHOW, text: 'An expired approval lets nothing through and takes no answer.' },
  { id: 'I3-RETRY-TWICE', source: MUST_SHOW, text: 'The second retry is refused.' },
  { id: 'I3-CHANGED-ARGUMENT', source: MUST_SHOW, text: 'A changed argument is refused.' },
  { id: 'I3-OTHER-PRINCIPAL', source: MUST_SHOW, text: 'Another principal is refused.' },
  { id: 'I3-TWO-APPROVERS', source: MUST_SHOW, text: 'Of two approvers at once one wins.' },
  {
    id: 'I3-RESTART',
    source: MUST_SHOW,
    text: 'The gateway is restarted between request, approval and retry.',
  },
  {
    id: 'I3-BEHAVIORS',
    source: MUST_SHOW,
    text: 'ERROR, HOLD and ELICIT with the official clients of both eras.',
    citedBy: [
      'test/e2e/approvals-mcp.test.ts: ERROR: goes through once, when it comes again',
      'test/e2e/approvals-mcp.test.ts: HOLD: is answered as soon as it is approved',
      'test/e2e/approvals-mcp.test.ts: HOLD: is refused as soon as it is denied',
      'test/e2e/approvals-mcp.test.ts: ELICIT: shows the page, and is answered once the call is approved',
      'test/e2e/approvals-mcp.test.ts: ELICIT: is given up when the user declines',
    ],
  },
  {
    id: 'I3-SIMULATION-STABLE',
    source: MUST_SHOW,
    text: 'Simulating the policy that is in force changes nothing, on 10,000 random decisions.',
    citedBy: [
      'test/pipeline/simulation-replay.test.ts: would change none of 10,000 random decisions, from the first on and from any time on',
    ],
  },
  {
    id: 'I3-BAD-REGEX',
    source: MUST_SHOW,
    text: 'A regex that would backtrack for ever is refused on save or bounded.',
    citedBy: ['test/e2e/policy-input.test.ts: that would backtrack for ever is matched in bounded time: %s'],
  },
  { id: 'I3-BAD-EXPRESSION', source: MUST_SHOW, text: 'An expression of 10 kB is refused on save, with its place.' },
  {
    id: 'I3-UNKNOWN-FIELD',
    source: MUST_SHOW,
    text: 'An unknown field in an expression is refused on save, with its place.',
    citedBy: ['test/e2e/policy-input.test.ts: with %s is refused on save, with line and column'],
  },
  { id: 'I3-CYCLES', source: MUST_SHOW, text: 'Cyclic sequence rules are refused on save, with the rules.' },
  { id: 'I3-MANY-RULES', source: MUST_SHOW, text: 'A policy of 1,000 rules is refused, 1,000 policies are bounded.' },

  // Policies.
  {
    id: 'I3-RULES',
    source: `${BUILD} 1`,
    text: 'Every kind of rule decides calls of both eras.',
    citedBy: ['test/e2e/policies.test.ts: $name, and the decision says why', GOLDEN],
  },
  { id: 'I3-PRIORITY', source: `${BUILD} 1`, text: 'The first priority with a result decides, the strictest in it.' },
  { id: 'I3-SUBJECTS', source: `${BUILD} 1`, text: 'Subjects are agents, users, keys, teams or all.' },
  { id: 'I3-TARGETS', source: `${BUILD} 1`, text: 'Targets are patterns of upstreams and tools.' },
  { id: 'I3-VERSIONS', source: `${BUILD} 1`, text: 'A policy has versions, drafts and a history.' },
  {
    id: 'I3-DEFAULT',
    source: `${BUILD} 1`,
    text: 'Without a result the default: DENY in a new project, ALLOW in default.',
  },
  {
    id: 'I3-RATE-EXACT',
    source: `${BUILD} 1`,
    text: 'A rate is exact over replicas and faces.',
    citedBy: ['test/e2e/policy-state.test.ts: 64 calls at once: the limit of %s admits exactly %i'],
  },
  { id: 'I3-SESSION-LIMITS', source: `${BUILD} 1`, text: 'Calls, sums and counters of a session, across replicas.' },
  { id: 'I3-SEQUENCES', source: `${BUILD} 1`, text: 'Only after, and never after, across replicas.' },
  { id: 'I3-STATE-RESTART', source: `${BUILD} 1`, text: 'State survives kills, and never lets more through.' },
  { id: 'I3-EXPRESSION-COST', source: `${BUILD} 1`, text: 'Expressions and their input are limited in cost.' },
  { id: 'I3-BAD-POLICIES', source: `${BUILD} 1`, text: 'What could not work is refused on save, with the place.' },
  {
    id: 'I3-EXPLAIN',
    source: `${BUILD} 2`,
    text: 'A Decision names rule, policy version, and each failed constraint with expected and actual.',
    citedBy: ['test/e2e/policies.test.ts: $name, and the decision says why'],
  },
  { id: 'I3-SHADOW', source: `${BUILD} 2`, text: 'Results of SHADOW policies are recorded and without effect.' },
  {
    id: 'I3-SIMULATION',
    source: `${BUILD} 3`,
    text: 'A draft is tried on recorded decisions: counts, and each change with why.',
    citedBy: [
      'test/pipeline/simulation-drafts.test.ts: that denies more reports exactly the decisions it changes, and why',
      'test/pipeline/simulation-drafts.test.ts: is reported for the decisions that the filter picks; the others count all the same',
      'test/api/policy-simulation.test.ts: streams what would change, how far it is, and the counts',
    ],
  },

  // Approvals.
  { id: 'I3-APPROVERS', source: `${BUILD} 4`, text: 'Answers need approvals:decide, in the own project.' },
  { id: 'I3-SELF-APPROVAL', source: `${BUILD} 4`, text: 'Nobody approves an own request unless the policy allows it.' },
  { id: 'I3-N-OF-M', source: `${BUILD} 4`, text: 'N of M approvers.' },
  {
    id: 'I3-APPROVAL-VERSION',
    source: `${BUILD} 4`,
    text: 'An approval is for the policies that asked, as they were.',
  },
  { id: 'I3-APPROVALS-BOUNDED', source: `${BUILD} 4`, text: 'A caller can not flood those who answer.' },
  { id: 'I3-HOLD', source: `${BUILD} 4`, text: 'HOLD waits, for CallTool too.' },
  { id: 'I3-WATCH-APPROVALS', source: `${BUILD} 4`, text: 'WatchApprovals streams, and resumes on another replica.' },
  {
    id: 'I3-WEBHOOK',
    source: `${BUILD} 4`,
    text: 'The webhook is signed, retried with backoff and deduplicated.',
    citedBy: [
      'test/approvals/webhook-sender.test.ts: is told again, later and later, with the same id, until it answers well',
      'test/approvals/webhook-sender.test.ts: gets each event once when all goes well, however many replicas send',
      'test/approvals/webhook-client.test.ts: at an address that is not public is not called unless the operator allows it',
    ],
  },
  { id: 'I3-BATCH', source: `${BUILD} 4`, text: 'BatchResolveApprovals is all or nothing.' },
  {
    id: 'I3-PAGE',
    source: `${BUILD} 4`,
    text: 'The page of an approval shows the call and takes the answer.',
    citedBy: [
      'test/approvals/approval-page.test.ts: may only run its own script, nor be held by another page, nor load anything',
      'test/approvals/approval-page.test.ts: answers with the comment, once for each press, and shows what came of it',
    ],
  },

  // Agents, Authorize, guard, redaction.
  { id: 'I3-AGENT-KEYS', source: `${BUILD} 5`, text: 'Keys of an agent act as it.' },
  { id: 'I3-AGENT-STATES', source: `${BUILD} 5`, text: 'SUSPENDED and REVOKED deny before any rule.' },
  { id: 'I3-AGENT-DELETED', source: `${BUILD} 5`, text: 'Deleting an agent keeps its decisions.' },
  {
    id: 'I3-AUTHORIZE',
    source: `${BUILD} 6`,
    text: 'Authorize answers outcome, reason, rule and decision id, and is recorded like a call; 64 KiB of arguments.',
    citedBy: ['test/e2e/guard.test.ts: decides about arguments as large and as deep as the guard sends them'],
  },
  {
    id: 'I3-GUARD',
    source: `${BUILD} 7`,
    text: 'The guard denies, throws, tells once, waits and caches as asked.',
    citedBy: [
      'sdk/test/guard.test.ts: never runs its handler, and is told once',
      'sdk/test/guard.test.ts: stays denied, once, when onDenied throws, rejects or never ends',
      'sdk/test/guard-approval.test.ts: waits as long as the gateway does, beyond timeoutMs, and runs the handler once it is approved',
      'sdk/test/guard-cache.test.ts: is off by default',
      'sdk/test/guard-middleware.test.ts: guards the tools that are registered before and after, and those after the server is connected',
      'sdk/test/guard-middleware.test.ts: validates first, and asks about what the handler gets',
    ],
  },
  {
    id: 'I3-GUARD-UNREACHABLE',
    source: `${BUILD} 7`,
    text: 'Outages go by onError; 401, 403, 404 and 429 always deny.',
    citedBy: [
      'sdk/test/guard-unreachable.test.ts: lets pass with %s, silently, when onError is allow',
      'sdk/test/guard-unreachable.test.ts: denies with %s, whatever onError says',
    ],
  },
  {
    id: 'I3-REDACTION',
    source: `${BUILD} 8`,
    text: 'Sensitive keys are masked, nested and in any case, more per project; the digest covers the original.',
    citedBy: [
      'test/decisions/recorded-arguments.test.ts: names of the project are masked besides the built-in ones, and only as whole names',
      'test/decisions/recorded-arguments.test.ts: with REDACTED everything but sensitive values, which the digest covers',
    ],
  },
];

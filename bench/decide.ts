import type { Policy } from '../src/domain/policy.ts';
import type { StateValue } from '../src/domain/policy-state.ts';
import { decide } from '../src/policy/decide.ts';
import type { PolicyCall } from '../src/policy/policy-call.ts';
import { createPolicySet, type PolicySet } from '../src/policy/policy-set.ts';
import { callOf, manyPolicies, statePolicies, TOOLS, tenPolicies } from './decide-policies.ts';
import { type Check, formatTable, type Section } from './report.ts';
import { formatNumber, formatSpread, ratiosOf, spreadOf } from './statistics.ts';

/** Most microseconds a decision may take with ten policies, and most times that with 10,000 rules (issue 3). */
const ASKED_MICROS = 5;
const ASKED_RATIO = 2;

const ROUNDS = 7;
const CALLS = 40_000;

interface Case {
  readonly name: string;
  readonly micros: number[];
  run(): void;
}

/** Finding and evaluating the policies of a call, in one thread and without a log: microseconds of CPU each, which other processes disturb little. */
export function measureDecide(_plan: unknown, say: (line: string) => void): Promise<Section> {
  say('deciding with ten policies and with 10,000 rules');
  const calls = Array.from({ length: TOOLS }, (_, index) => callOf(index));
  const prepared = measurePreparing(calls);
  const [none, ten, withState, many, alone] = [
    createCase('no policy', createPolicySet([]), calls),
    createCase('10 policies', createPolicySet(tenPolicies()), calls),
    createCase('10 policies and 2 with state', createPolicySet([...tenPolicies(), ...statePolicies()]), calls),
    createCase('10,000 rules, 5 of them for the tool', createPolicySet(prepared.policies), calls),
    createCase('these 5 rules alone', createPolicySet(prepared.policies.slice(0, 1)), [callOf(0)]),
  ];
  const cases = [none, ten, withState, many, alone];
  for (const { run, micros } of cases) {
    run();
    run();
    micros.length = 0;
  }
  for (let round = 0; round < ROUNDS; round++) for (const { run } of cases) run();
  const rows = cases.map(({ name, micros }) => [name, formatSpread(spreadOf(micros), 2)]);
  return Promise.resolve({
    title: 'Decisions',
    text: [
      `Microseconds of CPU for \`match()\` and \`decide()\` of an allowed call with five arguments, in one thread; median (smallest–largest) of ${ROUNDS}`,
      `rounds of ${formatNumber(CALLS)} calls that go round ${TOOLS} tools. Preparing the 10,000 rules took ${formatNumber(prepared.firstMillis)} ms, after a change of`,
      `one policy ${formatNumber(prepared.againMillis)} ms; the first call of a kind took ${formatNumber(prepared.firstCallMicros, 1)} µs.\n\n${formatTable(['', 'µs'], rows)}`,
    ].join('\n'),
    checks: checksOf(ten.micros, many.micros),
  });
}

function checksOf(ten: readonly number[], many: readonly number[]): Check[] {
  const micros = spreadOf(ten);
  const ratio = spreadOf(ratiosOf(many, ten));
  return [
    {
      what: 'decide() with 10 policies, µs',
      asked: `< ${ASKED_MICROS}`,
      measured: formatSpread(micros, 2),
      ok: micros.median < ASKED_MICROS,
    },
    {
      what: 'decide() with 10,000 rules, 5 of them for the tool, of that with 10 policies',
      asked: `≤ ${ASKED_RATIO}`,
      measured: formatSpread(ratio, 2),
      ok: ratio.median <= ASKED_RATIO,
    },
  ];
}

function createCase(name: string, set: PolicySet, calls: readonly PolicyCall[]): Case {
  const micros: number[] = [];
  return {
    name,
    micros,
    run() {
      const before = process.threadCpuUsage();
      for (let index = 0; index < CALLS; index++) decideOne(set, calls[index % calls.length] as PolicyCall);
      const { user, system } = process.threadCpuUsage(before);
      micros.push((user + system) / CALLS);
    },
  };
}

const redactedKeys: readonly string[] = [];
const states: readonly StateValue[] = Array.from({ length: 8 }, () => ({ value: 5, time: 0 }));

function decideOne(set: PolicySet, call: PolicyCall): void {
  const matched = set.match(call);
  const verdict = decide({ call, matched, defaultEffect: 'allow', states, now: Date.now(), redactedKeys });
  if (verdict.effect !== 'allow') throw new Error(`the benchmark's calls are allowed, but: ${verdict.message}`);
}

/** What a project pays when its policies change, and for the first call of each kind after that. */
function measurePreparing(calls: readonly PolicyCall[]) {
  const policies = manyPolicies();
  const first = timed(() => createPolicySet(policies));
  const [changed, ...others] = policies;
  if (changed === undefined) throw new Error('there are no policies');
  const changedPolicies: Policy[] = [{ ...changed, version: 2 }, ...others];
  const again = timed(() => createPolicySet(changedPolicies));
  const firstCalls = timed(() => {
    for (const call of calls) again.result.match(call);
  });
  return {
    policies: changedPolicies,
    firstMillis: first.millis,
    againMillis: again.millis,
    firstCallMicros: (firstCalls.millis * 1000) / calls.length,
  };
}

function timed<T>(run: () => T): { readonly result: T; readonly millis: number } {
  const startedAt = performance.now();
  const result = run();
  return { result, millis: performance.now() - startedAt };
}

import { describe, expect, it } from 'vitest';
import type { PolicyId } from '../../src/domain/ids.ts';
import type { ArgumentConstraint, Policy, PolicyRule, RuleKind } from '../../src/domain/policy.ts';
import type { Project } from '../../src/domain/project.ts';
import { contentOf, createPolicy } from '../policy/arbitrary-policy.ts';
import { changesOf, createWorld, openStore, summaryOf, type World, type WorldCall } from './simulation-world.ts';

const start = async (change: Partial<Project> = {}): Promise<World> =>
  createWorld(await openStore({ kind: 'memory' }), { recordedArguments: 'redacted', ...change });

/** A policy with these rules. */
function policy(slug: string, priority: number, ...says: RuleKind[]): Policy {
  const rules = says.map((one, index): PolicyRule => ({ id: `r${index}`, message: '', says: one }));
  const content = contentOf({ id: '', message: '', says: { kind: 'effect', effect: 'deny' } }, priority);
  return { ...createPolicy(slug, { ...content, rules }), id: `hidden-${slug}` as PolicyId };
}

const condition = (expression: string, effect: 'allow' | 'deny' | 'require_approval' = 'deny'): RuleKind => ({
  kind: 'condition',
  expression,
  effect,
});
const check = (path: string, more: Partial<ArgumentConstraint> = {}): RuleKind => ({
  kind: 'arguments',
  evaluation: 'fail_fast',
  constraints: [{ path, effect: 'deny', required: false, notNull: false, ...more }],
});
const text = { type: { kind: 'string' as const, in: ['x'], notIn: [] } };
const list = { type: { kind: 'array' as const, maxItems: 1 } };
const deny: RuleKind = { kind: 'effect', effect: 'deny' };
const allow: RuleKind = { kind: 'effect', effect: 'allow' };
const sum: RuleKind = {
  kind: 'session',
  maxCalls: 0,
  cumulativeLimits: [{ path: 'amount', maximum: 10 }],
  counters: [],
  violationEffect: 'deny',
};

/** `token` is masked wherever it is. */
const args = { amount: 5, token: 'secret', items: [{ sku: 'a', token: 'secret' }], to: { token: 'secret' } };

async function outcomeOf(
  policies: readonly Policy[],
  change: Partial<Project> = {},
  call: WorldCall = { arguments: args },
) {
  const world = await start(change);
  await world.decide({ tool: 'pay', ...call });
  const counts = summaryOf(await world.simulate(policies));
  if (counts?.unknown === 1) return 'unknown';
  return counts?.allow === 1 ? 'allow' : counts?.deny === 1 ? 'deny' : 'require_approval';
}

describe('a call of which a sensitive argument is masked', () => {
  it.each<[string, RuleKind, string]>([
    ['a check of the masked value', check('token', text), 'unknown'],
    ['a check of each masked value', check('items[*].token', text), 'unknown'],
    ['a check of one masked value', check('items[0].token', text), 'unknown'],
    ['a check that it is not null', check('token', { notNull: true }), 'unknown'],
    ['a check beneath a masked value', check('token.kind', text), 'unknown'],
    ['a check that it is there', check('token', { required: true }), 'allow'],
    ['a check of how many items hold it', check('items', list), 'allow'],
    ['a check of another value', check('items[*].sku', text), 'deny'],
    ['a condition on the masked value', condition("call.arguments.token == 'x'"), 'unknown'],
    ['a condition on it by index', condition("call.arguments['token'] == 'x'"), 'unknown'],
    ['a condition on all arguments', condition('size(call.arguments) > 3'), 'unknown'],
    ['a condition on what holds it', condition("call.arguments.items.exists(i, i.sku == 'a')"), 'unknown'],
    ['a condition on an argument named by another', condition('call.arguments[call.tool] == 1'), 'unknown'],
    ['a condition on its presence', condition('has(call.arguments.token)'), 'deny'],
    ['a condition on its presence by name', condition("'token' in call.arguments"), 'deny'],
    ['a condition on another argument', condition('call.arguments.amount > 3.0'), 'deny'],
    ['a condition on the tool', condition("call.tool == 'pay'"), 'deny'],
    ['an expression that does not compile', condition('call.arguments.token =='), 'deny'],
    ['a sum of another argument', sum, 'allow'],
  ])('%s: %s', async (_, rule, outcome) => {
    expect(await outcomeOf([policy('draft', 500, rule)])).toBe(outcome);
  });

  it('is decided where the rule that looks at it makes no difference', async () => {
    const blind = condition("call.arguments.token == 'x'", 'allow');
    const asks = check('token', { ...text, effect: 'require_approval' });

    expect(await outcomeOf([policy('draft', 500, asks, deny)])).toBe('deny');
    // A condition that fails denies, whatever its effect.
    expect(await outcomeOf([policy('draft', 500, blind, allow)])).toBe('unknown');
    expect(await outcomeOf([policy('low', 1, blind), policy('high', 900, deny)])).toBe('deny');
    expect(await outcomeOf([policy('low', 1, deny), policy('high', 900, blind)])).toBe('unknown');
    const shadow = policy('shadow', 900, blind);
    expect(await outcomeOf([{ ...shadow, content: { ...shadow.content, mode: 'shadow' } }])).toBe('allow');
  });
});

describe('a call of which the arguments were cut or not recorded', () => {
  it.each<[string, Partial<Project>, unknown]>([
    ['cut', {}, { amount: 5, text: 'long '.repeat(2_000) }],
    ['not recorded', { recordedArguments: 'none' }, { amount: 5 }],
  ])('%s: is unknown only to rules that look at arguments', async (_, change, given) => {
    expect(await outcomeOf([policy('draft', 500, check('amount', text))], change, { arguments: given })).toBe(
      'unknown',
    );
    expect(
      await outcomeOf([policy('draft', 500, condition('has(call.arguments.amount)'))], change, { arguments: given }),
    ).toBe('unknown');
    expect(await outcomeOf([policy('draft', 500, sum)], change, { arguments: given })).toBe('unknown');
    expect(await outcomeOf([policy('draft', 500, condition("call.tool == 'pay'"))], change, { arguments: given })).toBe(
      'deny',
    );
    expect(await outcomeOf([policy('draft', 500, allow)], change, { arguments: given })).toBe('allow');
  });

  it('is known when there were no arguments at all', async () => {
    const draft = policy('draft', 500, condition('has(call.arguments.amount)'));
    expect(await outcomeOf([draft], { recordedArguments: 'none' }, {})).toBe('allow');
  });

  it('makes the sums of its session unknown, and nothing else', async () => {
    const world = await start();
    const long = 'long '.repeat(2_000);
    await world.decide({ tool: 'first', session: 's', arguments: { amount: 1 } });
    await world.decide({ tool: 'second', session: 's', arguments: { amount: 1, long } });
    await world.decide({ tool: 'third', session: 's', arguments: { amount: 1 } });
    await world.decide({ tool: 'other', session: 't', arguments: { amount: 11 } });
    const events = await world.simulate([policy('draft', 500, sum)]);

    expect(summaryOf(events)).toMatchObject({ decided: 4, unknown: 2, unchanged: 1, changed: 1 });
    expect(changesOf(events)).toMatchObject([{ tool: 'other', from: 'allow', to: 'deny' }]);
  });
});

describe('numbers of a recorded call', () => {
  it('are those that were decided about, on each face', async () => {
    const world = await start({ recordedArguments: 'full' });
    const exact = condition('call.arguments.n == 9007199254740993');
    world.policies = [policy('exact', 500, exact)];
    const big = JSON.rawJSON('9007199254740993');
    await world.decide({ tool: 'mcp', arguments: { n: big } });
    await world.decide({ tool: 'api', face: 'api', arguments: { n: 9_007_199_254_740_992 } });
    await world.decide({ tool: 'api', face: 'api', arguments: { n: 1e21 } });
    const limit = check('n', { type: { kind: 'number', maximum: 9_007_199_254_740_992 } });

    expect(changesOf(await world.simulate())).toEqual([]);
    const changes = changesOf(await world.simulate([policy('limit', 500, limit)]));
    expect(changes).toMatchObject([{ tool: 'api', to: 'deny' }]);
  });

  it('are doubles where the API took them', async () => {
    const world = await start({ recordedArguments: 'full' });
    // A whole number that is read exactly cannot be added to a double, so the condition would fail and deny.
    world.policies = [policy('doubles', 500, condition('call.arguments.n + 1.0 > 0.0', 'allow'))];
    await world.decide({ tool: 'api', face: 'api', arguments: { n: 1e21 } });
    await world.decide({ tool: 'mcp', arguments: { n: JSON.rawJSON('1e21') } });

    const counts = summaryOf(await world.simulate());
    expect(counts).toMatchObject({ unchanged: 2, allow: 1, deny: 1 });
  });
});

import { describe, expect, test } from 'vitest';
import type { Policy, PolicyContent, RuleKind } from '../../src/domain/policy.ts';
import { check, everybody, onlyAfter, patterns, policy } from './sample-policy.ts';

describe('a sequence that waits for itself', () => {
  const place = 'content.rules[0].sequence.only_after: can never be met:';

  test('a rule that guards the call it waits for', () => {
    expect(check([onlyAfter('login')])).toEqual([`${place} 'login' may come only after 'login' (rule 'r0')`]);
    expect(check([onlyAfter('login')], { targets: patterns('pay', 'log*') })).toHaveLength(1);
    expect(check([onlyAfter('login')], { targets: patterns('pay', 'bank/login') })).toEqual([]);
    expect(check([onlyAfter('login*')], { targets: patterns('pay', 'login') })).toEqual([]);
    expect(check([onlyAfter('login*')], { targets: patterns('pay', 'log*') })).toHaveLength(1);
  });

  test('one that has another way in', () => {
    expect(check([onlyAfter('login', 'token/*')], { targets: patterns('bank/*', 'login') })).toEqual([]);
  });

  test('two policies that wait for each other', () => {
    const approve = policy('approve', [onlyAfter('deploy')], { targets: patterns('approve') });

    expect(check([onlyAfter('approve')], { targets: patterns('deploy') }, [approve])).toEqual([
      `${place} 'approve' may come only after 'deploy' (rule 'approve/r0'), and 'deploy' may come only after 'approve' (rule 'r0')`,
    ]);
    expect(check([onlyAfter('approve')], { targets: patterns('release') }, [approve])).toEqual([]);
  });

  test('a circle of three', () => {
    const others = [
      policy('b', [onlyAfter('c')], { targets: patterns('b') }),
      policy('c', [onlyAfter('a')], { targets: patterns('c') }),
    ];

    expect(check([onlyAfter('b')], { targets: patterns('a') }, others)).toEqual([
      `${place} 'b' may come only after 'c' (rule 'b/r0'), and 'c' may come only after 'a' (rule 'c/r0'), and 'a' may come only after 'b' (rule 'r0')`,
    ]);
    expect(check([onlyAfter('b', 'start')], { targets: patterns('a') }, others)).toEqual([]);
  });

  test('policies that do not act together do not wait for each other', () => {
    const cycle = (changes: Partial<PolicyContent>) => [
      policy('approve', [onlyAfter('deploy')], { targets: patterns('approve'), ...changes }),
    ];
    const ann = { ...everybody, userIds: ['ann'] };
    const bob = { ...everybody, userIds: ['bob'] };
    const own = (changes: Partial<PolicyContent>, others: readonly Policy[]) =>
      check([onlyAfter('approve')], { targets: patterns('deploy'), ...changes }, others);

    expect(own({}, cycle({ mode: 'off' }))).toEqual([]);
    expect(own({}, cycle({ mode: 'shadow' }))).toEqual([]);
    expect(own({ mode: 'shadow' }, cycle({}))).toEqual([]);
    expect(own({ subjects: ann }, cycle({ subjects: bob }))).toEqual([]);
    expect(own({ subjects: ann }, cycle({ subjects: ann }))).toHaveLength(1);
    expect(own({}, cycle({ subjects: ann }))).toHaveLength(1);
    expect(own({ subjects: ann }, cycle({}))).toHaveLength(1);
  });

  test('a demand that approval can meet, or that a higher priority overrules, is no circle', () => {
    const approvable: RuleKind = { ...onlyAfter('login'), violationEffect: 'require_approval' };
    const opener = policy('opener', [{ kind: 'effect', effect: 'allow' }], { targets: patterns('login'), priority: 1 });

    expect(check([approvable])).toEqual([]);
    expect(check([onlyAfter('login')], {}, [opener])).toEqual([]);
    expect(check([onlyAfter('login')], { priority: 1 }, [opener])).toHaveLength(1);
  });
});

test('a policy of 500 rules among 1,000 others is checked within seconds', () => {
  const chain = (from: number, length: number) =>
    Array.from({ length }, (_, index) => onlyAfter(`tool_${from}_${index + 1}`, `other_${from}_${index}*`));
  const others = Array.from({ length: 1000 }, (_, index) =>
    policy(`p${index}`, chain(index, 20), {
      targets: patterns(...Array.from({ length: 20 }, (_unused, tool) => `tool_${index}_${tool}`)),
      subjects: { ...everybody, teams: [`team${index % 50}`] },
    }),
  );
  const start = performance.now();

  expect(check(chain(0, 500), { targets: patterns('tool_0_0') }, others)).toEqual([]);

  expect(performance.now() - start).toBeLessThan(5000);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passesToolFilter } from '../../src/domain/tool-filter.ts';
import { intersectToolFilters } from '../../src/policy/intersect-filters.ts';

const filter = (allowedTools: string[], deniedTools: string[] = []) => ({ allowedTools, deniedTools });

describe('the intersection of two tool filters', () => {
  it.each([
    ['of two that allow all', filter([]), filter([]), filter([])],
    ['of one that allows all', filter([]), filter(['read_*']), filter(['read_*'])],
    [
      'with a narrower pattern',
      filter(['read_*', 'list']),
      filter(['read_file', 'read_dir*']),
      filter(['read_file', 'read_dir*']),
    ],
    ['with the same patterns', filter(['a', 'b*']), filter(['b*', 'a']), filter(['a', 'b*'])],
    ['of nothing in common', filter(['read_*']), filter(['write_*']), filter([], ['*'])],
    ['of what either denies', filter([], ['a', 'b']), filter([], ['b', 'c*']), filter([], ['a', 'b', 'c*'])],
  ])('%s', (_name, one, other, both) => {
    expect(intersectToolFilters(one, other)).toEqual(both);
  });

  it('lets through exactly what both let through', () => {
    const pattern = fc.stringMatching(/^[ab]{0,3}\*?$/).filter((text) => text !== '');
    const filters = fc.record({
      allowedTools: fc.array(pattern, { maxLength: 4 }),
      deniedTools: fc.array(pattern, { maxLength: 2 }),
    });
    fc.assert(
      fc.property(filters, filters, fc.stringMatching(/^[ab]{1,4}$/), (one, other, tool) => {
        expect(passesToolFilter(intersectToolFilters(one, other), tool)).toBe(
          passesToolFilter(one, tool) && passesToolFilter(other, tool),
        );
      }),
      { numRuns: 2_000 },
    );
  });
});

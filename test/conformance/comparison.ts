import type { Check } from './suite.ts';

/** A check whose outcome through the gateway is not the one against the fixture. */
export interface Difference {
  scenario: string;
  id: string;
  fixture: Check['status'] | 'absent';
  gateway: Check['status'] | 'absent';
  /** What the suite says about the side that is not a success. */
  message: string;
}

/** Compares two runs check by check; a check that only one of them has is a difference. */
export function compareChecks(fixture: readonly Check[], gateway: readonly Check[]): Difference[] {
  const other = new Map(gateway.map((check) => [keyOf(check), check]));
  const differences: Difference[] = [];
  for (const check of fixture) {
    const counterpart = other.get(keyOf(check));
    other.delete(keyOf(check));
    if (counterpart?.status !== check.status) differences.push(differenceOf(check, counterpart));
  }
  for (const check of other.values()) differences.push(differenceOf(undefined, check));
  return differences;
}

function keyOf(check: Check): string {
  return `${check.scenario} ${check.id}`;
}

function differenceOf(fixture: Check | undefined, gateway: Check | undefined): Difference {
  return {
    scenario: fixture?.scenario ?? gateway?.scenario ?? '',
    id: fixture?.id ?? gateway?.id ?? '',
    fixture: fixture?.status ?? 'absent',
    gateway: gateway?.status ?? 'absent',
    message: gateway?.message ?? fixture?.message ?? '',
  };
}

/** A table of the differences, one line each, columns aligned, messages cut to their first 200 characters. */
export function formatDifferences(differences: readonly Difference[]): string {
  const rows = [
    ['scenario', 'check', 'fixture', 'gateway', 'message'],
    ...differences.map(({ scenario, id, fixture, gateway, message }) => [
      scenario,
      id,
      fixture,
      gateway,
      message.replaceAll(/\s+/g, ' ').slice(0, 200),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

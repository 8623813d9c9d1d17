import { type Spread } from './statistics.ts';

/** One figure that was asked for, beside what was measured. */
export interface Check {
  readonly what: string;
  readonly asked: string;
  readonly measured: string;
  readonly ok: boolean;
}

/** What one measurement contributes to the report. */
export interface Section {
  readonly title: string;
  /** Markdown below the title. */
  readonly text: string;
  readonly checks: readonly Check[];
  /** Cores that other processes kept busy while this was measured. */
  readonly foreign?: Spread;
}

/** Above this many cores of other processes (median) the figures say little. */
const DISTURBED = 0.1;

/** A markdown table; cells must hold no `|`. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The whole report: the asked figures first, then every section. */
export function formatReport(machine: string, sections: readonly Section[]): string {
  const checks = sections.flatMap((section) => section.checks);
  const missed = checks.filter((check) => !check.ok).length;
  const rows = checks.map(({ what, asked, measured, ok }) => [what, asked, measured, ok ? 'holds' : '**missed**']);
  const verdict = `${checks.length - missed} of ${checks.length} asked figures hold.`;
  const disturbed = sections.filter((section) => (section.foreign?.median ?? 0) > DISTURBED).map(({ title }) => title);
  const warning = `**Not a quiet machine: other processes kept more than ${DISTURBED} cores busy during ${disturbed.join(', ')}. Measure again.**`;
  return [
    '# Measured',
    machine,
    ...(disturbed.length === 0 ? [] : [warning]),
    ...(checks.length === 0
      ? []
      : ['## Asked and measured', verdict, formatTable(['figure', 'asked', 'measured', ''], rows)]),
    ...sections.flatMap((section) => [`## ${section.title}`, section.text]),
    '',
  ].join('\n\n');
}

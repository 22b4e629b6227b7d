/** Results on one page that needs nothing else: the tables, what the rules are, and some items in full. */
import { escapeText } from '../../training/run/report.ts';
import type { Difference } from './compare.ts';
import type { TaskResult } from './evaluate.ts';
import type { ScoreTable } from './tables.ts';

export interface Report {
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
  /** Of each task, where its data was. */
  readonly files: readonly (readonly [string, string])[];
  readonly tables: readonly ScoreTable[];
  readonly remarks: readonly string[];
  readonly differences: readonly Difference[];
  readonly results: readonly TaskResult[];
  /** Items in words. */
  readonly shown: readonly string[];
}

const style =
  'body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}table{border-collapse:collapse;margin:.5em 0 1.5em}' +
  'td,th{padding:3px 12px 3px 0;text-align:left;vertical-align:top}tbody tr{border-top:1px solid #8884}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}' +
  'td:first-child{white-space:pre}pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #8886;padding:.8em}.wide{overflow-x:auto}' +
  '@media(max-width:500px){table{font-size:.78em}td,th{padding-right:7px}td:not(.n):last-child{overflow-wrap:anywhere}}';

const cells = (row: readonly string[], tag: string, right: readonly number[]) =>
  row
    .map(
      (text, i) =>
        `<${tag}${right.includes(i) ? ' class="n"' : ''}>${escapeText(text).replaceAll('_', '_<wbr>')}</${tag}>`,
    )
    .join('');

const table = (head: readonly string[], rows: readonly (readonly string[])[], right: readonly number[]) =>
  `<div class="wide"><table><thead><tr>${cells(head, 'th', right)}</tr></thead><tbody>` +
  `${rows.map((row) => `<tr>${cells(row, 'td', right)}</tr>`).join('\n')}</tbody></table></div>`;

export const differenceHead = [
  'task',
  'rules',
  'metric',
  'items',
  'before',
  'now',
  'difference',
  '95 %',
  'better',
  'worse',
];

/** The columns of `differenceHead`. */
export function differenceRow(each: Difference): string[] {
  const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(4)}`;
  return [
    each.task,
    each.rules,
    each.filter === 'none' ? each.metric : `${each.metric}, ${each.filter}`,
    String(each.items),
    each.before.toFixed(4),
    each.now.toFixed(4),
    signed(each.difference),
    Number.isNaN(each.low) ? '' : `${signed(each.low)} … ${signed(each.high)}`,
    String(each.better),
    String(each.worse),
  ];
}

export function reportHtml({ title, facts, files, tables, remarks, differences, results, shown }: Report): string {
  const sources = results.flatMap(({ task, rules, spec }) =>
    rules === 'paper' && spec.paper ? [[task, spec.paper.source]] : [],
  );
  const section = (heading: string, body: string) => (body === '' ? '' : `<h2>${escapeText(heading)}</h2>${body}`);
  const list = (lines: readonly string[]) =>
    lines.length === 0 ? '' : `<ul>${lines.map((line) => `<li>${escapeText(line)}</li>`).join('')}</ul>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeText(title)}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><style>${style}</style></head>
<body><h1>${escapeText(title)}</h1>
${table(['', ''], facts, [])}
${tables.map((each) => section(each.title, table(each.head, each.rows, each.right))).join('\n')}
${section('Against the run before', differences.length === 0 ? '' : table(differenceHead, differences.map(differenceRow), [3, 4, 5, 6, 8, 9]))}
${section('To be known', list(remarks))}
${section('Where the papers say so', sources.length === 0 ? '' : table(['task', 'source'], sources, []))}
${section('Data', table(['task', 'files'], files, []))}
${section('Items in full', shown.map((text) => `<pre>${escapeText(text)}</pre>`).join('\n'))}
</body></html>
`;
}

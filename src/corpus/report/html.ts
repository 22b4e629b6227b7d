/** The audit as one HTML page without scripts or outside files: what was dropped and why, what is left. How long it took is in times.json. */
import { counted, formatBytes, formatCount } from '../../base/units.ts';
import type { ReasonCounts, StageCounts } from './audit.ts';
import { barChart, escapeHtml, histogramChart } from './charts.ts';
import type { CorpusAudit, MixtureRow, SourceAudit } from './corpus-audit.ts';

const style = `
:root { color-scheme: light dark; --ink: #1d1d1f; --faint: #86868b; --line: #d2d2d7; --paper: #fff; --kept: #2f7d5b; --lost: #c9563c; --bar: #3a6ea5 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ed; --line: #424245; --paper: #161617; --kept: #58b38a; --lost: #e0785f; --bar: #78a9d8 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { margin: 2.4rem 0 .6rem; font-size: 1.25rem } h3 { margin: 1.4rem 0 .4rem; font-size: 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: .5rem 0 1rem }
th, td { text-align: right; white-space: nowrap; padding: .25rem .6rem; border-bottom: 1px solid var(--line) } th { font-weight: 600 }
th:first-child, td:first-child { text-align: left } p.note, .faint { color: var(--faint) } .wide { overflow-x: auto }
details { margin: .2rem 0 } summary { cursor: pointer } pre { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--line); padding-left: .8rem; margin: .4rem 0; font-size: .85rem }
svg { display: block; width: 100%; min-width: 60rem; height: auto } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
`;

export function renderReport(audit: CorpusAudit): string {
  const sources = Object.entries(audit.sources);
  const body = [
    `<h1>${escapeHtml(audit.name)}</h1>`,
    `<p class="note">${audit.sample === null ? 'Whole corpus' : `Dry run: ${counted(audit.sample, 'document')} of each file`}${audit.tokenCount > 0 ? ` · ${formatCount(audit.tokenCount)} tokens` : ''}</p>`,
    '<h2>Sources</h2>',
    sourceTable(sources),
    keptChart(sources),
    audit.mixture.length > 0 ? `<h2>Mixture</h2>${mixtureTable(audit.mixture)}${mixtureChart(audit.mixture)}` : '',
    '<h2>Languages</h2>',
    languageTable(sources),
    ...sources.map(([name, source]) => sourceSection(name, source)),
    Object.keys(audit.models).length > 0
      ? `<h2>Trained models</h2><pre>${escapeHtml(JSON.stringify(audit.models, undefined, 2))}</pre>`
      : '',
    problemSection(sources),
  ];
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(audit.name)} · corpus report</title><style>${style}</style></head>\n<body>\n${body.join('\n')}\n</body></html>\n`;
}

type Sources = readonly (readonly [string, SourceAudit])[];

/** First stage's input and last stage's output. A source without stages keeps what it read. */
function flow({ audit }: SourceAudit): { read: StageCounts['in']; kept: StageCounts['in'] } {
  const languages = Object.values(audit.languages);
  const read = {
    documents: sum(languages, ({ seen }) => seen.documents),
    bytes: sum(languages, ({ seen }) => seen.bytes),
  };
  const last = Object.values(audit.stages).at(-1);
  return { read, kept: last?.out ?? read };
}

function sourceTable(sources: Sources): string {
  const rows = sources.map(([name, source]) => {
    const { read, kept } = flow(source);
    return [
      escapeHtml(name),
      String(source.units),
      formatBytes(source.inputBytes),
      formatCount(read.documents),
      formatBytes(read.bytes),
      formatCount(kept.documents),
      formatBytes(kept.bytes),
      percent(kept.bytes, read.bytes),
      source.tokens > 0 ? formatCount(source.tokens) : '–',
    ];
  });
  return table(
    ['source', 'units', 'input files', 'documents', 'text', 'kept documents', 'kept text', 'kept', 'tokens'],
    rows,
  );
}

function keptChart(sources: Sources): string {
  const rows = sources.map(([name, source]) => {
    const { read, kept } = flow(source);
    return {
      label: name,
      parts: [{ share: read.bytes === 0 ? 0 : Math.min(1, kept.bytes / read.bytes), color: 'var(--kept)' }],
      note: `${percent(kept.bytes, read.bytes)} of the text kept`,
    };
  });
  return barChart(rows, 'Share of the text that was kept, by source');
}

function mixtureTable(rows: readonly MixtureRow[]): string {
  return table(
    ['source', 'available tokens', 'drawn tokens', 'share', 'epochs', 'epochs planned'],
    rows.map((row) => [
      escapeHtml(row.source),
      formatCount(row.available),
      formatCount(row.tokens),
      percent(row.share, 1),
      row.epochs.toFixed(3),
      row.wantedEpochs.toFixed(3),
    ]),
  );
}

function mixtureChart(rows: readonly MixtureRow[]): string {
  return barChart(
    rows.map(({ source, share, epochs }) => ({
      label: source,
      parts: [{ share, color: 'var(--bar)' }],
      note: `${percent(share, 1)} · ${epochs.toFixed(2)} epochs`,
    })),
    'Share of the mixture',
  );
}

function languageTable(sources: Sources): string {
  const rows = sources.flatMap(([name, { audit }]) =>
    Object.entries(audit.languages)
      .sort(([, a], [, b]) => b.seen.documents - a.seen.documents)
      .slice(0, 25)
      .map(([language, { seen, kept }]) => [
        escapeHtml(name),
        escapeHtml(language),
        formatCount(seen.documents),
        formatBytes(seen.bytes),
        formatCount(kept.documents),
        percent(kept.documents, seen.documents),
      ]),
  );
  return table(['source', 'language', 'documents', 'text', 'kept documents', 'kept'], rows);
}

function sourceSection(name: string, source: SourceAudit): string {
  const stages = Object.entries(source.audit.stages);
  if (stages.length === 0)
    return `<h2>${escapeHtml(name)}</h2><p class="note">No stages: everything that was read is kept.</p>${measureSection(source)}`;
  const rows = stages.map(([stage, counts]) => [
    escapeHtml(stage),
    formatCount(counts.in.documents),
    formatBytes(counts.in.bytes),
    formatCount(counts.in.documents - counts.out.documents),
    percent(counts.out.bytes, counts.in.bytes),
  ]);
  return [
    `<h2>${escapeHtml(name)}</h2>`,
    table(['stage', 'documents', 'text', 'dropped documents', 'text kept'], rows),
    ...stages.map(([stage, counts]) => reasonSection(stage, counts)),
    measureSection(source),
  ].join('\n');
}

/** What was measured of the documents that went through, before any selection. */
function measureSection({ measures }: SourceAudit): string {
  const shown = Object.entries(measures).filter(([, counts]) => Object.keys(counts).length > 1);
  if (shown.length === 0) return '';
  return `<h3>What was measured</h3>${shown.map(([name, counts]) => histogramChart(name, counts)).join('')}`;
}

function reasonSection(stage: string, counts: StageCounts): string {
  const reasons = Object.entries(counts.reasons).sort(([, a], [, b]) => lost(b) - lost(a));
  if (reasons.length === 0) return '';
  const largest = Math.max(1, ...reasons.map(([, reason]) => lost(reason)));
  const rows = reasons.map(([reason, each]) => ({
    label: reason,
    parts: [{ share: lost(each) / largest, color: 'var(--lost)' }],
    note: [
      each.documents > 0 ? counted(each.documents, 'document') : '',
      each.lines > 0 ? counted(each.lines, 'line') : '',
      formatBytes(lost(each)),
    ]
      .filter((part) => part !== '')
      .join(' · '),
  }));
  const samples = reasons.map(([reason, { samples }]) => {
    const shown = samples.map(
      ({ id, detail, text }) =>
        `<p class="faint">${escapeHtml(id)} — ${escapeHtml(detail)}</p><pre>${escapeHtml(text)}</pre>`,
    );
    return shown.length === 0
      ? ''
      : `<details><summary>${escapeHtml(reason)}: ${shown.length} examples</summary>${shown.join('')}</details>`;
  });
  return `<h3>${escapeHtml(stage)}: what went</h3>${barChart(rows, `Bytes removed by ${stage}`)}${samples.join('')}`;
}

function lost({ documentBytes, lineBytes }: ReasonCounts): number {
  return documentBytes + lineBytes;
}

function problemSection(sources: Sources): string {
  const rows = sources.flatMap(([name, { audit }]) =>
    audit.problems.map(({ file, kind, message, count }) => [
      escapeHtml(name),
      escapeHtml(kind),
      String(count),
      escapeHtml(file),
      escapeHtml(message),
    ]),
  );
  if (rows.length === 0) return '<h2>Broken input</h2><p class="note">None.</p>';
  return `<h2>Broken input</h2><p class="note">Skipped, and counted here.</p>${table(['source', 'kind', 'count', 'file', 'first message'], rows)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) =>
    `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="wide"><table><thead>${cells(head, 'th')}</thead><tbody>${rows.map((row) => cells(row, 'td')).join('')}</tbody></table></div>`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((part / whole) * 100).toFixed(1)} %`;
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

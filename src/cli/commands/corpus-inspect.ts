import { CriaError, UsageError } from '../../base/errors.ts';
import { counted, formatBytes, formatCount, formatDuration } from '../../base/units.ts';
import {
  attributeSpread,
  type DropQuery,
  findDrops,
  readAudit,
  readTimes,
} from '../../platform/node/corpus/inspect.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { didYouMean } from '../parse/did-you-mean.ts';

export const command = defineCommand({
  options: {
    folder: { kind: 'text', value: 'FOLDER', required: true, help: 'what `cria corpus` wrote' },
    source: { kind: 'text', help: 'only this source' },
    stage: { kind: 'text', help: 'only this stage' },
    reason: { kind: 'text', help: 'only reasons that contain this text' },
    document: {
      kind: 'text',
      value: 'ID',
      help: 'everything that happened to documents whose id or address contains this text',
    },
    attribute: {
      kind: 'text',
      value: 'NAME',
      help: 'how an attribute (perplexity, languageScore, …) is spread, by source and language, to choose thresholds by',
    },
    times: { kind: 'flag', help: 'processor time of each stage, documents and megabytes a second' },
    count: { kind: 'integer', short: 'n', min: 0, default: 3, help: 'examples of each reason' },
    json: { kind: 'flag', help: 'JSON lines' },
  },
  positionals: ['folder'],
  details:
    'Shows why documents and lines were dropped: counts, bytes and examples per stage and reason, or the history of one document.',
  examples: [
    ['corpus inspect corpus --stage c4 -n 5', 'what the C4 rules removed'],
    ['corpus inspect corpus --document example.com', 'what became of a site'],
    ['corpus inspect corpus --times', 'which stage takes how long'],
    ['corpus inspect corpus --attribute perplexity', 'deciles per language'],
  ],
  async run(options, io) {
    if (options.attribute !== undefined) return showAttribute(options.folder, options.attribute, options.json, io);
    if (options.times) return showTimes(options.folder, options.source, options.json, io);
    if (options.document !== undefined) {
      const query: DropQuery = {
        document: options.document,
        source: options.source,
        stage: options.stage,
        reason: options.reason,
      };
      let found = 0;
      for await (const drop of findDrops(options.folder, query)) {
        found++;
        if (options.json) writeJson(io.stdout, drop);
        else {
          const what = drop.lines ? `${drop.lines.length} lines removed` : 'dropped';
          writeLine(
            io.stdout,
            `${drop.id}: ${drop.stage}: ${what}: ${drop.reason}${drop.detail ? ` (${drop.detail})` : ''}, ${formatBytes(drop.bytes)}`,
          );
        }
      }
      if (found === 0)
        writeLine(io.stderr, `nothing was dropped from a document whose id or address contains ${options.document}`);
      return;
    }
    const { sources } = readAudit(options.folder);
    checkNames(options, sources);
    for (const [source, { audit }] of Object.entries(sources)) {
      if (options.source !== undefined && source !== options.source) continue;
      for (const [stage, counts] of Object.entries(audit.stages)) {
        if (options.stage !== undefined && stage !== options.stage) continue;
        for (const [reason, each] of Object.entries(counts.reasons)) {
          if (options.reason !== undefined && !reason.includes(options.reason)) continue;
          const samples = each.samples.slice(0, options.count);
          if (options.json) {
            writeJson(io.stdout, { source, stage, reason, ...each, samples });
            continue;
          }
          const parts = [];
          if (each.documents > 0)
            parts.push(`${counted(each.documents, 'document')}, ${formatBytes(each.documentBytes)}`);
          if (each.lines > 0) parts.push(`${counted(each.lines, 'line')}, ${formatBytes(each.lineBytes)}`);
          writeLine(io.stdout, `${source} · ${stage} · ${reason}: ${parts.join('; ')}`);
          for (const { id, detail, text } of samples) {
            writeLine(io.stdout, `    ${id}${detail === '' ? '' : ` (${detail})`}`);
            writeLine(io.stdout, `        ${text.slice(0, 200).replaceAll('\n', '\n        ')}`);
          }
        }
      }
      for (const { kind, count, message } of audit.problems) {
        if (options.stage !== undefined || options.reason !== undefined) continue;
        if (options.json) writeJson(io.stdout, { source, problem: kind, count, message });
        else writeLine(io.stdout, `${source} · broken input · ${kind}: ${count}×, first: ${message}`);
      }
    }
  },
});

/** A name that nothing has would show nothing, which would read as "nothing was dropped". */
function checkNames(
  { source, stage }: { readonly source: string | undefined; readonly stage: string | undefined },
  sources: ReturnType<typeof readAudit>['sources'],
): void {
  const problems: string[] = [];
  const known = Object.entries(sources).filter(([name]) => source === undefined || name === source);
  const stages = new Set(known.flatMap(([, { audit }]) => Object.keys(audit.stages)));
  if (source !== undefined && known.length === 0)
    problems.push(
      `there is no source ${source}${didYouMean(source, Object.keys(sources))}; sources: ${Object.keys(sources).join(', ')}`,
    );
  else if (stage !== undefined && !stages.has(stage))
    problems.push(`there is no stage ${stage}${didYouMean(stage, [...stages])}; stages: ${[...stages].join(', ')}`);
  if (problems.length > 0) throw new UsageError(problems);
}

function showTimes(folder: string, wanted: string | undefined, json: boolean, io: Io): void {
  const times = readTimes(folder);
  checkNames({ source: wanted, stage: undefined }, readAudit(folder).sources);
  for (const [source, { seconds, tokeniseSeconds, stages }] of Object.entries(times)) {
    if (wanted !== undefined && source !== wanted) continue;
    if (json) {
      writeJson(io.stdout, { source, seconds, tokeniseSeconds, stages });
      continue;
    }
    writeLine(
      io.stdout,
      `${source}: ${formatDuration(seconds)} of work, then ${formatDuration(tokeniseSeconds)} for tokens`,
    );
    for (const [stage, each] of Object.entries(stages)) {
      const speed = `${formatCount(each.documentsPerSecond)} documents/s, ${each.megabytesPerSecond} MB/s`;
      writeLine(io.stdout, `    ${stage}: ${formatDuration(each.seconds)}, ${speed}`);
    }
  }
}

async function showAttribute(folder: string, attribute: string, json: boolean, io: Io): Promise<void> {
  const spreads = await attributeSpread(folder, attribute);
  if (spreads.length === 0)
    throw new CriaError('corpus.no-attribute', `${folder}: no document has the attribute ${attribute}`);
  for (const spread of spreads) {
    if (json) writeJson(io.stdout, spread);
    else {
      const shown = spread.percentiles
        ? spread.percentiles.map((value, i) => `${i * 10} %: ${value}`).join('  ')
        : spread
            .values!.slice(0, 20)
            .map(([value, count]) => `${value}: ${count}`)
            .join('  ');
      writeLine(
        io.stdout,
        `${spread.source} · ${spread.language} · ${counted(spread.documents, 'document')}: ${shown}`,
      );
    }
  }
}

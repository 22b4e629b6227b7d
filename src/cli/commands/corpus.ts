import { counted, formatBytes, formatCount, formatDuration } from '../../base/units.ts';
import { rankFromEnvironment } from '../../corpus/pipeline/ranks.ts';
import type { CorpusEvent } from '../../corpus/pipeline/run.ts';
import { type BuiltCorpus, buildCorpus, loadRecipe } from '../../platform/node/corpus/build.ts';
import { defaultWorkerCount } from '../../platform/node/corpus/workers.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { startProgress } from '../terminal/progress.ts';

export const command = defineCommand({
  options: {
    recipe: { kind: 'text', value: 'RECIPE.yaml', required: true, help: 'sources, stages, mixture and tokens' },
    input: {
      kind: 'text',
      value: 'FOLDER',
      otherwise: "the recipe's",
      help: 'where the raw files lie; also s3://bucket/prefix or another address',
    },
    out: { kind: 'text', value: 'FOLDER', otherwise: "the recipe's", help: 'where tokens, audit and report go' },
    set: { kind: 'texts', value: 'KEY=VALUE', help: 'change a setting of the recipe, as in sources.c4.weight=20' },
    workers: {
      kind: 'integer',
      min: 0,
      max: 1024,
      otherwise: 'one per core',
      help: 'threads that work; 0 works on the main thread',
    },
    sample: { kind: 'integer', min: 1, help: 'dry run: so many documents of each file, and the report, but no tokens' },
    stall: {
      kind: 'number',
      min: 1,
      otherwise: '300',
      value: 'SECONDS',
      help: 'a unit in which nothing moves for so long is ended, tried once more, then given up and reported',
    },
    lease: {
      kind: 'number',
      min: 1,
      otherwise: '120',
      value: 'SECONDS',
      help: 'a process without a sign of life for so long loses its units to the others of this folder',
    },
    verify: { kind: 'flag', help: 'compare finished units with their SHA-256 and make damaged ones again' },
    json: { kind: 'flag', help: 'progress and the result as JSON lines' },
  },
  positionals: ['recipe'],
  details:
    'Turns raw dumps into cleaned, mixed, shuffled token shards that `cria train` reads, with audit.json and report.html.\n' +
    'Work is done in units that are written aside, checksummed and renamed: a killed run goes on where it was, a second run does nothing,\n' +
    'and a changed setting repeats only what depends on it. Any number of processes may run the same command over one shared folder, started by hand, mpirun, a Slurm array or anything else: they share\n' +
    'the units and take over those of one that died. The result does not depend on who did what.\n' +
    'Broken input is skipped, reported and counted. Input may lie elsewhere: s3://bucket/prefix (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,\n' +
    'AWS_ENDPOINT_URL), https://host/file, hf://datasets/owner/name@revision/path (HF_TOKEN), as --input or among the files of a source.',
  examples: [
    ['corpus recipes/corpus-samples.yaml --input samples --out corpus', 'small samples of all of LLaMA 1’s sources'],
    ['corpus recipes/corpus-samples.yaml --input samples --sample 20', 'look before you leap'],
    ['corpus inspect corpus', 'what was dropped, and why'],
  ],
  async run(options, io) {
    const set = [...options.set];
    if (options.input !== undefined) set.push(`input=${JSON.stringify(options.input)}`);
    if (options.out !== undefined) set.push(`output=${JSON.stringify(options.out)}`);
    const recipe = loadRecipe(options.recipe, set);
    const launched = rankFromEnvironment(io.env);
    const built = await buildCorpus(recipe, {
      workers: options.workers ?? Math.max(1, Math.floor(defaultWorkerCount() / (launched?.sharingMachine ?? 1))),
      ...(options.sample === undefined ? {} : { sample: options.sample }),
      ...(options.stall === undefined ? {} : { stallSeconds: options.stall }),
      ...(options.lease === undefined ? {} : { leaseSeconds: options.lease }),
      verify: options.verify,
      signal: io.signal,
      onEvent: reporter(io, options.json),
    });
    if (options.json) writeJson(io.stdout, summaryOf(built));
    else if ((launched?.index ?? 0) === 0) writeSummary(io, built);
  },
});

function reporter(io: Io, json: boolean): (event: CorpusEvent) => void {
  let bar: ReturnType<typeof startProgress> | undefined;
  return (event) => {
    if (json) return writeJson(io.stderr, event);
    bar?.end();
    if (event.kind === 'phase') {
      bar = event.pending > 0 ? startProgress(io, { what: event.phase, total: event.pending, json: false }) : undefined;
    } else if (event.kind === 'unit') bar?.update(event.done, event.unit);
    else if (event.kind === 'failed')
      writeLine(io.stderr, `${event.phase}: ${event.unit} failed (${event.failures}×): ${event.reason}`);
    else
      writeLine(
        io.stderr,
        `${event.phase}: waiting for ${counted(event.missing, 'unit')} that other processes work on`,
      );
  };
}

function summaryOf({ output, units, unitsMade, manifest, audit }: BuiltCorpus) {
  const problems = Object.values(audit.sources).flatMap((source) => source.audit.problems);
  return {
    output,
    units,
    unitsMade,
    problems,
    tokens: manifest?.tokenCount ?? 0,
    documents: manifest?.documentCount ?? 0,
    shards: manifest?.shards.length ?? 0,
    mixture: audit.mixture,
  };
}

function writeSummary(io: Io, built: BuiltCorpus): void {
  const { output, units, unitsMade, manifest, audit } = built;
  const remark = unitsMade === 0 ? 'nothing to do: all are there' : `${unitsMade} made now`;
  writeLine(io.stdout, `${counted(units, 'unit')} of work, ${remark}`);
  for (const [name, { inputBytes, seconds, tokens, audit: books }] of Object.entries(audit.sources)) {
    const kept = Object.values(books.stages).at(-1)?.out;
    const parts = [formatBytes(inputBytes), kept ? `${counted(kept.documents, 'document')} kept` : 'kept whole'];
    if (tokens > 0) parts.push(`${formatCount(tokens)} tokens`);
    writeLine(io.stdout, `  ${name}: ${parts.join(', ')}, ${formatDuration(seconds)} of work`);
    for (const problem of books.problems.slice(0, 5))
      writeLine(io.stderr, `  ${name}: ${problem.kind} (${problem.count}×): ${problem.message}`);
    if (books.problems.length > 5)
      writeLine(io.stderr, `  ${name}: ${books.problems.length - 5} more kinds of problems, all in the report`);
  }
  for (const row of audit.mixture) {
    writeLine(io.stdout, `  mixture: ${row.source} ${(row.share * 100).toFixed(1)} %, ${row.epochs.toFixed(2)} epochs`);
  }
  if (manifest)
    writeLine(
      io.stdout,
      `${counted(manifest.tokenCount, 'token')} in ${counted(manifest.shards.length, 'shard')}: ${output}/tokens/manifest.json`,
    );
  writeLine(io.stdout, `report: ${output}/report.html`);
}

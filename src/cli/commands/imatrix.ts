import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CriaError, UsageError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { type Imatrix, writeImatrix, writeOldImatrix } from '../../evaluation/imatrix.ts';
import { MemorySink } from '../../formats/sink.ts';
import { foreignName, listParameters } from '../../model/parameters.ts';
import { defineCommand } from '../command.ts';
import { readAll, writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import { modelOptions } from '../model-options.ts';
import { startProgress } from '../terminal/progress.ts';

export const command = defineCommand({
  options: {
    ...modelOptions,
    file: { kind: 'text', short: 'f', value: 'PATH', otherwise: 'standard input', help: 'the text' },
    output: {
      kind: 'text',
      short: 'o',
      default: 'imatrix.gguf',
      value: 'PATH',
      help: "where to write: a name ending in .gguf gives llama.cpp's present form, one in .dat its old one",
    },
    context: {
      kind: 'integer',
      short: 'c',
      min: 4,
      otherwise: "512, or the model's context where that is less",
      help: 'tokens of one chunk',
    },
    chunks: { kind: 'integer', min: 1, otherwise: 'all', help: 'read this many chunks only' },
    'process-output': {
      kind: 'flag',
      help: 'measure the output matrix too; quantizers do better when it is left to plain rounding',
    },
    json: { kind: 'flag', help: 'one JSON object; progress as JSON lines on stderr' },
  },
  positionals: ['model', 'file'],
  details:
    'Runs a text of the kind that the model is used for (some hundred chunks) and adds up, for every matrix, the squares of what each of its\n' +
    'columns is multiplied with. Measure with the most exact file of the model that there is.',
  examples: [
    [
      'imatrix model-f16.gguf text.txt -o model.imatrix.gguf',
      'then: cria quantize … iq4_xs --imatrix model.imatrix.gguf',
    ],
    ['imatrix model-f16.gguf text.txt -o imatrix.dat --chunks 100', 'for older programs'],
  ],
  async run(options, io) {
    if (!/\.(gguf|dat)$/i.test(options.output)) {
      throw new UsageError([`--output is ${options.output}: expected a name ending in .gguf or .dat`]);
    }
    const text = options.file === undefined ? await readAll(io) : readFileSync(options.file, 'utf8');
    const model = await loadModel(options, io);
    try {
      const { tokenizer, config } = model;
      const bosId = tokenizer.addBos ? tokenizer.bosId : null;
      const ids = tokenizer.encode(text, { bos: bosId !== null });
      const context = options.context ?? Math.min(512, config.contextLength);
      const chunks = Math.min(options.chunks ?? Number.POSITIVE_INFINITY, Math.floor(ids.length / context));
      if (chunks === 0) {
        throw new CriaError(
          'imatrix.too-short',
          `the text is ${ids.length} tokens, expected at least one chunk of ${context}. Take a longer text, or smaller chunks with --context.`,
        );
      }
      if (context > config.contextLength) {
        throw new UsageError([`--context is ${context}, expected at most the model's own, ${config.contextLength}`]);
      }
      const total = new Map<string, { sums: Float64Array; rows: Float64Array }>();
      const progress = startProgress(io, { what: 'imatrix', total: chunks, json: options.json });
      for (let chunk = 0; chunk < chunks; chunk++) {
        io.signal.throwIfAborted();
        const part = ids.slice(chunk * context, (chunk + 1) * context);
        if (bosId !== null) part[0] = bosId;
        for (const [name, { sums, rows }] of await model.importance(part, { withOutput: options['process-output'] })) {
          const sum = total.get(name) ?? { sums: new Float64Array(sums.length), rows: new Float64Array(rows.length) };
          total.set(name, sum);
          for (let i = 0; i < sums.length; i++) sum.sums[i]! += sums[i]!;
          for (let i = 0; i < rows.length; i++) sum.rows[i]! += rows[i]!;
        }
        progress.update(chunk + 1);
      }
      progress.end();
      const entries = new Map(
        listParameters(config).flatMap((parameter) => {
          const name = foreignName(parameter, 'gguf');
          const sum = total.get(parameter.name);
          if (name === null || sum === undefined) return [];
          return [[name, { sums: Float32Array.from(sum.sums), counts: Float32Array.from(sum.rows) }] as const];
        }),
      );
      const datasets = [options.file === undefined ? 'standard input' : basename(options.file)];
      const bytes = write(options.output, { entries, datasets, chunks, chunkTokens: context });
      if (options.json) {
        const tokens = chunks * context;
        writeJson(io.stdout, {
          model: resolveModel(options.model),
          output: options.output,
          matrices: entries.size,
          chunks,
          context,
          tokens,
          bytes,
        });
      } else {
        writeLine(
          io.stdout,
          `${options.output}: ${entries.size} matrices over ${chunks} chunks of ${context} tokens, ${formatBytes(bytes)}`,
        );
      }
    } finally {
      await model.close();
    }
  },
});

/** The name appears when the file is whole. */
function write(path: string, imatrix: Imatrix): number {
  const sink = new MemorySink();
  if (path.toLowerCase().endsWith('.dat')) writeOldImatrix(sink, imatrix);
  else writeImatrix(sink, imatrix);
  const bytes = sink.bytes();
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, bytes);
  renameSync(temporary, path);
  return bytes.length;
}

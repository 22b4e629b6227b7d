import { UsageError } from '../../base/errors.ts';
import { formatDuration } from '../../base/units.ts';
import { kvTypes } from '../../kernels/ops.ts';
import { type LlamaConfig, metaFfnWidth } from '../../model/config.ts';
import { isPresetName, presetNames, presets } from '../../model/presets.ts';
import { attentionLab } from '../../platform/node/lab/attention.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { deviceOption } from '../model-options.ts';
import { didYouMean } from '../parse/did-you-mean.ts';
import { alignColumns } from '../terminal/columns.ts';
import { startProgress } from '../terminal/progress.ts';

/** Sixteen heads have a whole root, and three models of this size fit beside each other. */
const usual: LlamaConfig = {
  ...presets['llama-2-7b'],
  width: 1024,
  blockCount: 12,
  headCount: 16,
  kvHeadCount: 16,
  headSize: 64,
  ffnWidth: metaFfnWidth(1024, 256, null),
};

export const command = defineCommand({
  options: {
    preset: {
      kind: 'text',
      value: 'NAME',
      otherwise: '12 blocks of width 1024, 16 heads',
      help: `whose shape is measured: ${presetNames.join(', ')}`,
    },
    kvType: { kind: 'choice', values: kvTypes, default: 'f16', help: 'how keys and values are kept' },
    quick: { kind: 'flag', help: 'three depths and three batches in place of six and five' },
    threads: {
      kind: 'integer',
      short: 't',
      min: 1,
      max: 1024,
      otherwise: 'one per physical core',
      help: 'threads that compute',
    },
    device: deviceOption,
    out: { kind: 'text', value: 'FOLDER', otherwise: 'runs/lab', help: 'where the report goes' },
    json: { kind: 'flag', help: 'all numbers as JSON' },
  },
  positionals: [],
  details:
    'What a key and value head for each query head costs, and what groups (K = √H) and one head for all save: the formulas, the bytes and\n' +
    'multiply-adds that the model counts while it runs, and milliseconds a token at 128 to 4,096 tokens of context and 1 to 16 sequences\n' +
    'at a time. Weights are random, in Q4_0: time does not depend on values.',
  examples: [
    ['lab attention --quick', 'minutes'],
    ['lab attention --preset tinyllama-1.1b --kv-type q8_0', 'another shape, another cache'],
  ],
  async run(options, io) {
    const { preset } = options;
    if (preset !== undefined && !isPresetName(preset))
      throw new UsageError([
        `--preset ${preset}: expected one of ${presetNames.join(', ')}${didYouMean(preset, presetNames)}`,
      ]);
    const begun = performance.now();
    const amount = (done: number) => `${(100 * done).toFixed(0)} %`;
    const progress = startProgress(io, { what: 'measuring', total: 1, json: options.json, amount });
    const { result, report } = await attentionLab({
      name: preset ?? 'the lab’s shape',
      config: preset === undefined ? usual : presets[preset],
      kvType: options.kvType,
      batches: options.quick ? [1, 4, 16] : [1, 2, 4, 8, 16],
      depths: options.quick ? [128, 512, 2048] : [128, 256, 512, 1024, 2048, 4096],
      turns: 3,
      steps: options.quick ? 4 : 16,
      threads: options.threads ?? describeMachine().physicalCores,
      device: options.device,
      folder: options.out ?? 'runs/lab',
      signal: io.signal,
      tell: (message) => writeLine(io.stderr, message),
      onProgress: (share) => progress.update(share),
    }).finally(() => progress.end());
    if (options.json) writeJson(io.stdout, result);
    else {
      const rows = result.cells.map(({ variant, b, n, predicted, milliseconds }) => {
        const bytes = (predicted.weightBytes + predicted.cacheBytes) / 1e6;
        return [
          variant,
          String(b),
          String(n),
          bytes.toFixed(0),
          (milliseconds / b).toFixed(2),
          ((1000 * b) / milliseconds).toFixed(1),
        ];
      });
      const head = ['', 'b', 'n', 'MB a step', 'ms a token', 'tokens/s'];
      for (const line of alignColumns([head, ...rows], [1, 2, 3, 4, 5]).split('\n')) writeLine(io.stdout, line);
    }
    writeLine(io.stderr, `${formatDuration((performance.now() - begun) / 1000)}; the report: ${report}`);
  },
});

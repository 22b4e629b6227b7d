/** What `bench` prints: llama-bench's rows, under llama-bench's field names. */
import { formatBytes, formatCount } from '../../base/units.ts';
import type { ModelFacts } from '../../inference/remote/protocol.ts';
import type { Machine } from '../../platform/node/machine.ts';
import { markdownTable } from '../terminal/columns.ts';
import type { GpuCounts } from './gpu-counts.ts';
import { type Measured, testName } from './measure.ts';

export interface Setting {
  readonly version: string;
  readonly machine: Machine;
  readonly facts: ModelFacts;
  readonly path: string;
  readonly threads: number;
  readonly batch: number;
}

export type Row = ReturnType<typeof benchRow> &
  Partial<GpuCounts> & {
    /** Tokens a second at the machine's limits, and how much of that was reached. */
    readonly limit_ts?: number;
    readonly limit_share?: number;
  };

/** The row beside the shortest time that the test could take. */
export function withLimit(row: Row, shortestSeconds: number): Row {
  const tokens = row.n_prompt + row.n_gen;
  return { ...row, limit_ts: tokens / shortestSeconds, limit_share: (shortestSeconds * 1e9) / row.avg_ns };
}

export function benchRow(setting: Setting, measured: Measured, testTime: string) {
  const { machine, facts } = setting;
  const { prompt, generate, depth, sequences, samplesNs } = measured;
  const samples_ts = samplesNs.map((ns) => ((prompt + sequences * generate) * 1e9) / ns);
  return {
    build_commit: `cria ${setting.version}`,
    build_number: 0,
    cpu_info: machine.cpu,
    gpu_info: '',
    backends: facts.device,
    model_filename: setting.path,
    model_type: [
      `${facts.config.family} ${formatCount(facts.parameterCount)} ${facts.dtypes[0]}`,
      ...facts.adapters.map(({ name }) => name),
    ].join(' + '),
    model_size: facts.weightBytes,
    model_n_params: facts.parameterCount,
    n_batch: setting.batch,
    n_ubatch: setting.batch,
    n_threads: setting.threads,
    type_k: facts.kvType,
    type_v: facts.kvType,
    n_gpu_layers: 0,
    n_prompt: prompt,
    n_gen: generate,
    n_depth: depth,
    n_seq: sequences,
    test: testName(measured),
    test_time: testTime,
    avg_ns: Math.round(mean(samplesNs)),
    stddev_ns: Math.round(deviation(samplesNs)),
    avg_ts: mean(samples_ts),
    stddev_ts: deviation(samples_ts),
    samples_ns: samplesNs.map(Math.round),
    samples_ts,
  };
}

const head = ['model', 'size', 'params', 'backend', 'threads', 'test', 't/s'];
const rightAligned = [1, 2, 4, 5, 6, 7];

/** Markdown; with shares of the machine's limits where they were measured. */
export function toMarkdown(rows: readonly Row[]): string {
  const limited = rows.some((row) => row.limit_share !== undefined);
  const lines = rows.map((row) => [
    row.model_type,
    formatBytes(row.model_size),
    formatCount(row.model_n_params),
    row.backends.split(',')[0]!,
    String(row.n_threads),
    row.test,
    `${row.avg_ts.toFixed(2)} ± ${row.stddev_ts.toFixed(2)}`,
    ...(limited ? [`${(100 * (row.limit_share ?? Number.NaN)).toFixed(0)} % of ${row.limit_ts?.toFixed(1)}`] : []),
  ]);
  return markdownTable([[...head, ...(limited ? ['of the limit'] : [])], ...lines], rightAligned);
}

/** As llama-bench writes it: every value quoted, what is a list left out. */
export function toCsv(rows: readonly Row[]): string {
  const first: Partial<Row> = rows[0] ?? {};
  const fields = (Object.keys(first) as (keyof Row)[]).filter((name) => !Array.isArray(first[name]));
  const quote = (value: unknown) => `"${String(value).replaceAll('"', '""')}"`;
  return [fields.join(','), ...rows.map((row) => fields.map((name) => quote(row[name])).join(','))].join('\n');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample: divided by n − 1. */
function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

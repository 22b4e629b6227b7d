/** All numbers of the terminal's walk, as one value: what `--json` writes and what print.ts tells. */
import { cacheTokenBytes } from '../../inference/remote/load-defaults.ts';
import type { SamplingOptions } from '../../inference/sampler/options.ts';
import { type Choice, samplerStages } from '../../inference/sampler/stages.ts';
import { type ExplorerModel, pieceOf } from '../model.ts';
import { lengthOf } from '../numbers.ts';
import { multiplyAdds } from '../recording.ts';
import { type StepKey, shapesOf, walkOf } from '../walk.ts';

const CORNER_ROWS = 3;
const CORNER_COLUMNS = 4;
const LIKELIEST = 10;
/** Rows of a map that are computed; a terminal shows no more. */
const MOST_MAP_ROWS = 256;

export interface ReportOptions {
  readonly block: number;
  readonly head: number;
  readonly sampling: Omit<SamplingOptions, 'logitBias' | 'drySequenceBreakers'>;
}

export interface Report {
  readonly model: string;
  readonly tokens: readonly { readonly id: number; readonly piece: string }[];
  readonly walk: readonly { readonly step: StepKey; readonly activations: readonly Activation[] }[];
  readonly attention: {
    readonly block: number;
    readonly head: number;
    readonly rows: readonly number[];
    readonly shares: readonly (readonly number[])[];
  };
  readonly stream: readonly { readonly name: string; readonly length: number }[];
  readonly cache: {
    readonly bytesPerToken: number;
    readonly bytes: number;
    readonly multiplyAddsWith: number;
    readonly multiplyAddsWithout: number;
  };
  readonly next: readonly {
    readonly id: number;
    readonly piece: string;
    readonly logit: number;
    readonly probability: number;
  }[];
  readonly choice: Choice;
}

export interface Activation {
  readonly name: string;
  readonly letters: string;
  readonly shape: string;
  /** The first rows and columns; of what has heads, those of the chosen head. */
  readonly corner: readonly (readonly number[])[];
}

export async function reportOf(
  model: ExplorerModel,
  ids: Uint32Array,
  { block, head, sampling }: ReportOptions,
): Promise<Report> {
  const { config } = model;
  const N = ids.length;
  const last = N - 1;
  const steps = walkOf(config, block);
  const rows = Array.from({ length: Math.min(N, CORNER_ROWS) }, (_, i) => i);
  const corners = await model.trace(
    ids,
    steps.flatMap(({ names }) => names),
    { rows, heads: [head] },
  );
  const shapes = shapesOf(config, N);
  const mapRows = sampled(N, MOST_MAP_ROWS);
  const mapName = `blocks.${block}.attention.probabilities`;
  const map = (await model.trace(ids, [mapName], { rows: mapRows, heads: [head] })).get(mapName).data;
  const ends = await model.trace(ids, ['hidden.*', 'logits', 'probabilities'], { rows: [last] });
  const logits = ends.get('logits').data;
  const probabilities = ends.get('probabilities').data;
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const bytesPerToken = cacheTokenBytes(config, model.facts.kvType);
  return {
    model: model.facts.name,
    tokens: Array.from(ids, (id) => ({ id, piece: pieceOf(model, id) })),
    walk: steps.map(({ key, names }) => ({
      step: key,
      activations: names.map((name) => {
        const { shape, data } = corners.get(name);
        const columns = shape.at(-1)!;
        const corner = rows.map((r) => [
          ...data.subarray(r * columns, r * columns + Math.min(columns, CORNER_COLUMNS)),
        ]);
        return { name, letters: shapes.get(name)!.letters, shape: shapes.get(name)!.numbers, corner };
      }),
    })),
    attention: {
      block,
      head,
      rows: mapRows,
      shares: mapRows.map((_, r) => mapRows.map((s) => map[r * N + s]!)),
    },
    stream: Array.from({ length: config.blockCount + 1 }, (_, i) => {
      const name = `hidden.${i}`;
      return { name, length: lengthOf(ends.get(name).data) };
    }),
    cache: {
      bytesPerToken,
      bytes: bytesPerToken * N,
      multiplyAddsWith: multiplyAdds(config, { tokens: 1, cached: N }),
      multiplyAddsWithout: multiplyAdds(config, { tokens: N + 1 }),
    },
    next: order.slice(0, LIKELIEST).map((id) => {
      return { id, piece: pieceOf(model, id), logit: logits[id]!, probability: probabilities[id]! };
    }),
    choice: samplerStages(logits, config.vocabSize, ids, N, { most: LIKELIEST, sampling }),
  };
}

/** At most `most` of N places, evenly spread, the last among them. */
export function sampled(N: number, most: number): number[] {
  if (N <= most) return Array.from({ length: N }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round((i * (N - 1)) / (most - 1)));
}

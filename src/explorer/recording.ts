/**
 * The model as it is, without a number: `forward` is run once over Ops that compute nothing and note for every tensor which operation made
 * it out of which tensors. The explorer's picture, its shapes, its counts of multiply-adds are read from this record, so that a variant
 * of LLaMA draws itself, and nothing describes the model a second time.
 */
import { assert } from '../base/assert.ts';
import { type Batch, batchOfSequences } from '../kernels/batch.ts';
import { isCacheLayer, type KvStore, type Ops, type Routes } from '../kernels/ops.ts';
import { type Dimension, dimensions, type LlamaConfig } from '../model/config.ts';
import { forward } from '../model/llama.ts';
import { assembleModel } from '../model/model.ts';
import { listParameters, type Parameter } from '../model/parameters.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../tensor/tensor.ts';

export type Operation = keyof Ops;
/** Letters of ARCHITECTURE.md: N rows, M rows of chosen experts, and the dimensions of the configuration. */
export type Letter = Dimension | 'N' | 'M' | 'U';

/** One operation of the model. */
export interface Step {
  /** Its place in the order of computation. */
  readonly index: number;
  readonly operation: Operation;
  /** Of what it makes. */
  readonly shape: readonly number[];
  readonly letters: readonly Letter[];
  /** The steps whose results it reads. */
  readonly from: readonly number[];
  /** The parameters that it reads. */
  readonly parameters: readonly Parameter[];
  /** Names under which forward() hands the result out; several where nothing is computed between. */
  readonly names: string[];
  /** The block that it belongs to; null: outside of the blocks. */
  block: number | null;
  readonly multiplyAdds: number;
}

export interface RecordOptions {
  /** Tokens of the call. Default 2: the picture does not depend on it. */
  readonly tokens?: number;
  /** Tokens before them whose keys and values a cache holds; absent: no cache. */
  readonly cached?: number;
}

interface Made extends Tensor {
  readonly step: number;
}

/** Throws ConfigError for a configuration that no model can have. */
export function record(config: LlamaConfig, { tokens = 2, cached }: RecordOptions = {}): readonly Step[] {
  const parameterOf = new Map<Tensor, Parameter>();
  const tensors = new Map<string, Tensor>();
  for (const parameter of listParameters(config)) {
    const tensor: Tensor = { dtype: 'f32', shape: parameter.shape };
    tensors.set(parameter.name, tensor);
    parameterOf.set(tensor, parameter);
  }
  const steps: Step[] = [];
  const batch = batchAt(tokens, cached ?? 0);
  const ops = recordingOps(
    config,
    batch,
    (operation, shape, letters, inputs, multiplyAdds = 0) => {
      const known = inputs.filter((input): input is Tensor => input !== undefined);
      const step: Step = {
        index: steps.length,
        operation,
        shape,
        letters,
        from: known.flatMap((input) => ('step' in input ? [(input as Made).step] : [])),
        parameters: known.flatMap((input) => parameterOf.get(input) ?? []),
        names: [],
        block: null,
        multiplyAdds,
      };
      steps.push(step);
      const made: Made = { dtype: 'f32', shape, step: step.index };
      return made;
    },
    parameterOf,
  );
  const store: KvStore | undefined =
    cached === undefined ? undefined : { ...emptyStore, kvHeadCount: config.kvHeadCount, headSize: config.headSize };
  let begun = 0;
  forward(assembleModel(config, tensors), ops, batch, {
    tap: (name, tensor) => void steps[(tensor as Made).step]!.names.push(name),
    segment: (input_ND, run) => {
      const first = steps.length;
      const output_ND = run(input_ND);
      for (const step of steps.slice(first)) step.block = begun;
      begun++;
      return output_ND;
    },
    ...(store && { cache: store }),
  });
  assert(begun === config.blockCount, `record: ${begun} blocks were run, expected ${config.blockCount}`);
  return steps;
}

const emptyStore = { layerCount: 0, blockCount: 0, blockTokens: 32, type: 'f16' } as const;

function batchAt(tokens: number, cached: number): Batch {
  const { ids, positions, spans } = batchOfSequences([new Uint32Array(tokens)]);
  return {
    ids,
    positions: positions.map((position) => position + cached),
    spans: spans.map((span) => ({ ...span, firstPosition: cached })),
  };
}

type Note = (
  operation: Operation,
  shape: readonly number[],
  letters: readonly Letter[],
  inputs: readonly (Tensor | undefined)[],
  multiplyAdds?: number,
) => Tensor;

/** Every operation's shape, letters and cost. */
function recordingOps(config: LlamaConfig, batch: Batch, note: Note, parameterOf: ReadonlyMap<Tensor, Parameter>): Ops {
  const letters = new WeakMap<Tensor, readonly Letter[]>();
  const N = batch.ids.length;
  const lettersOf = (tensor: Tensor): readonly Letter[] =>
    letters.get(tensor) ?? (parameterOf.get(tensor)?.spec.shape as readonly Letter[] | undefined) ?? ['N'];
  const make: Note = (operation, shape, named, ...rest) => {
    const made = note(operation, shape, named, ...rest);
    letters.set(made, named);
    return made;
  };
  /** As its first input, element by element or row by row. */
  const like = (operation: Operation, x: Tensor, others: readonly (Tensor | undefined)[] = []) =>
    make(operation, x.shape, lettersOf(x), [x, ...others]);
  const E = config.headSize;
  const pairs = batch.positions.reduce((sum, position) => sum + position + 1, 0);
  let cachedKeys: readonly Tensor[] = [];
  const ops: Ops = {
    embed: (table, ids) => make('embed', [ids.length, columnCount(table.shape)], ['N', lettersOf(table)[1]!], [table]),
    linear(x, w, bias) {
      const [O, I] = w.shape as [number, number];
      const shape = [rowCount(x.shape), O];
      return make('linear', shape, [lettersOf(x)[0]!, lettersOf(w)[0]!], [x, w, bias], elementCount(shape) * I);
    },
    rmsNorm: (x, gain) => like('rmsNorm', x, [gain]),
    layerNorm: (x, gain, shift) => like('layerNorm', x, [gain, shift]),
    batchNorm: (x, gain, shift, _eps, { mean_D, variance_D }) =>
      like('batchNorm', x, [gain, shift, mean_D, variance_D]),
    rotation: (positions) => make('rotation', [positions.length, E], ['N', 'E'], []),
    rope: (x, rotation) => like('rope', x, [rotation]),
    addSinusoids: (x) => like('addSinusoids', x),
    appendToCache(_cache, k, v) {
      cachedKeys = [like('appendToCache', k, [v])];
    },
    attention(q, keyValues, _batch, { sinks_H }) {
      const keys = isCacheLayer(keyValues) ? cachedKeys : [keyValues.k_NP, keyValues.v_NP];
      // Scores and the mix: each query head meets every key up to its own position, once each.
      return make('attention', q.shape, lettersOf(q), [q, ...keys, sinks_H], 2 * pairs * columnCount(q.shape));
    },
    swiglu: (gate, up) => like('swiglu', gate, [up]),
    geglu: (gate, up) => like('geglu', gate, [up]),
    relu: (x) => like('relu', x),
    gelu: (x) => like('gelu', x),
    add: (x, y) => like('add', x, [y]),
    route(scores, { used }) {
      const chosen_NU = make('route', [N, used], ['N', 'U'], [scores]);
      return { chosen_NU, weights_NU: chosen_NU };
    },
    routedLinear(x, w, routes: Routes, bias) {
      const [, O, I] = w.shape as [number, number, number];
      const shape = [elementCount(routes.chosen_NU.shape), O];
      return make(
        'routedLinear',
        shape,
        ['M', lettersOf(w)[1]!],
        [x, w, routes.chosen_NU, bias],
        elementCount(shape) * I,
      );
    },
    mixRoutes: (x, { chosen_NU }) =>
      make('mixRoutes', [N, columnCount(x.shape)], ['N', lettersOf(x)[1]!], [x, chosen_NU]),
    spreadRoutes: (x, { chosen_NU }) =>
      make(
        'spreadRoutes',
        [elementCount(chosen_NU.shape), columnCount(x.shape)],
        ['M', lettersOf(x)[1]!],
        [x, chosen_NU],
      ),
    ones: (shape) => ({ dtype: 'f32', shape }),
    dropout: (x) => like('dropout', x),
    scale: (x) => like('scale', x),
    softcap: (x) => like('softcap', x),
    selectRows: (x, rows) => make('selectRows', [rows.length, columnCount(x.shape)], lettersOf(x), [x]),
    placeRows: () => assert(false, 'record: forward() does not write into tensors'),
  };
  return ops;
}

/** Multiply-adds of one call. */
export function multiplyAdds(config: LlamaConfig, options: RecordOptions): number {
  return record(config, options).reduce((sum, step) => sum + step.multiplyAdds, 0);
}

/** A shape in letters and in numbers: 'N·D', '8 × 256'. */
export function shapeInWords({ letters, shape }: Pick<Step, 'letters' | 'shape'>): {
  letters: string;
  numbers: string;
} {
  return { letters: letters.join('·'), numbers: shape.join(' × ') };
}

/** What a letter stands for in this configuration. */
export function sizeOf(config: LlamaConfig, letter: Dimension): number {
  return dimensions(config)[letter];
}

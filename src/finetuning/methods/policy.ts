/**
 * A model under fine-tuning, and the passes that its methods make: token log-probabilities and, with a head, one number per row, their
 * gradients weighted by whatever loss follows from them.
 */
import { type Recompute, Tape } from '../../autograd/tape.ts';
import { type Device, readDoubles } from '../../devices/device.ts';
import type { Ops } from '../../kernels/ops.ts';
import { hidden, keepOutputs } from '../../model/llama.ts';
import { type Model, rebuild } from '../../model/model.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type MicroBatch, NO_LABEL, PASS_TOKENS, prepareBatch } from '../../training/micro-batch.ts';
import type { TrainableParameter } from '../../training/optimizer.ts';

/** A sequence with the tokens that are targets. */
export interface Sequence {
  readonly ids: Uint32Array;
  /** 1 where the token is a target. */
  readonly carries: Uint8Array;
}

/** What a model says of one sequence. */
export interface Reading {
  /** log p of each target, in order. */
  readonly logps: Float64Array;
  /** The head's number at each row before a target, and at the last row: one more than targets. Empty without a head. */
  readonly values: Float64Array;
}

/** Gradients of a loss by what was read. */
export interface ReadingGradients {
  readonly dLogps?: ArrayLike<number>;
  readonly dValues?: ArrayLike<number>;
}

export interface PolicyOptions {
  readonly device: Device;
  readonly model: Model;
  readonly parameters: readonly TrainableParameter[];
  /** Adapters. */
  readonly decorate?: (ops: Tape['ops']) => Ops;
  readonly recompute?: Recompute;
  /** [1, D]: a scalar of the last hidden state. */
  readonly head?: Tensor | null;
  /** Logits are divided by it before log p is taken. */
  readonly temperature?: number;
  /** Rows of one pass at most; a longer sequence is a pass of its own. */
  readonly passTokens?: number;
}

export class Policy {
  readonly options: PolicyOptions;
  private readonly evaluated: Model;

  constructor(options: PolicyOptions) {
    this.options = options;
    this.evaluated = rebuild(options.model, { usesBatch: false });
  }

  private get passTokens(): number {
    return this.options.passTokens ?? PASS_TOKENS;
  }

  get contextLength(): number {
    return this.options.model.config.contextLength;
  }

  /** Forward only. */
  async read(sequences: readonly Sequence[]): Promise<Reading[]> {
    const { device, model, decorate = (ops) => ops } = this.options;
    const readings: Reading[] = [];
    for (const part of parts(sequences, this.passTokens)) {
      const layout = layOut(part, model.config.vocabSize);
      const mark = device.mark();
      const ops = decorate({ ...device.ops, linear: device.ops.linearExact });
      const x_ND = hidden(this.evaluated, ops, layout.batch, { segment: keepOutputs(device) });
      const { losses_N, values_N } = this.outputs(ops as Tape['ops'], x_ND, layout);
      const [losses, values] = [readDoubles(device, losses_N), values_N && readDoubles(device, values_N)];
      device.release(mark);
      readings.push(...layout.readings(await losses, values && (await values)));
    }
    return readings;
  }

  /**
   * Forward and backward: `weigh` is told what each sequence of a pass reads as and gives the gradients of the loss; they are added to
   * the parameters' gradients, which the caller has cleared. Sequences that belong together (`together` of them) share a pass.
   */
  async pass(
    sequences: readonly Sequence[],
    weigh: (readings: readonly Reading[], first: number) => readonly ReadingGradients[],
    together = 1,
  ): Promise<void> {
    const { device, model, parameters, decorate = (ops) => ops, recompute = 'none' } = this.options;
    const gradients = new Map(parameters.map(({ tensor, gradient }) => [tensor, gradient]));
    let first = 0;
    for (const part of parts(sequences, this.passTokens, together)) {
      const layout = layOut(part, model.config.vocabSize);
      const mark = device.mark();
      const tape = new Tape(device, gradients, recompute);
      const ops = decorate(tape.ops);
      const x_ND = hidden(model, ops, layout.batch, { segment: tape.segment.bind(tape) });
      const { losses_N, values_N, scored_ND } = this.outputs(tape.ops, x_ND, layout);
      const losses = await readDoubles(device, losses_N);
      const values = values_N && (await readDoubles(device, values_N));
      const found = weigh(layout.readings(losses, values), first);
      const { weights_N, dValues_N } = layout.spread(found);
      if (values_N && dValues_N) {
        const dValues = tape.gradientOf(values_N);
        if (dValues) {
          device.write(dValues.tensor, dValues_N);
          dValues.isEmpty = false;
        }
      }
      if (weights_N) {
        const head_VD = model.head_VD ?? model.embed_VD;
        device.backward.crossEntropy(
          tape.gradientOf(scored_ND),
          gradients.get(head_VD) ?? null,
          scored_ND,
          head_VD,
          layout.targets_N,
          weights_N,
          { cap: this.cap },
        );
      }
      tape.backward();
      device.release(mark);
      first += part.length;
    }
  }

  /** Of the logits, as they are after they were divided by the temperature: (c / T) · tanh((z / T) / (c / T)). */
  private get cap(): number | undefined {
    const { model, temperature = 1 } = this.options;
    return model.config.logitCap === null ? undefined : model.config.logitCap / temperature;
  }

  private outputs(ops: Tape['ops'], x_ND: Tensor, { targets_N }: Layout) {
    const { device, model, head, temperature = 1 } = this.options;
    const values_N = head ? ops.linear(x_ND, head) : null;
    const input_ND = model.headInput(ops, x_ND);
    const scored_ND = temperature === 1 ? input_ND : ops.scale(input_ND, 1 / temperature);
    const none = new Float64Array(targets_N.length);
    const head_VD = model.head_VD ?? model.embed_VD;
    const losses_N = device.backward.crossEntropy(null, null, scored_ND, head_VD, targets_N, none, { cap: this.cap });
    return { losses_N, values_N, scored_ND };
  }
}

/** Sequences as one flat batch, and the way between its rows and the sequences' targets. */
interface Layout {
  readonly batch: ReturnType<typeof prepareBatch>['batch'];
  readonly targets_N: Int32Array;
  readings(losses_N: Float64Array, values_N: Float64Array | null): Reading[];
  spread(gradients: readonly ReadingGradients[]): {
    readonly weights_N: Float64Array | null;
    readonly dValues_N: Float64Array | null;
  };
}

function layOut(sequences: readonly Sequence[], vocabSize: number): Layout {
  const { batch, targets_N } = prepareBatch(microBatchOf(sequences), vocabSize);
  const rowsOf = batch.spans.map(({ firstRow, rowCount }, i) => {
    const { carries } = sequences[i]!;
    const targets: number[] = [];
    for (let t = 1; t < rowCount; t++) if (carries[t] === 1) targets.push(firstRow + t - 1);
    return { targets, last: firstRow + rowCount - 1 };
  });
  return {
    batch,
    targets_N,
    readings: (losses_N, values_N) =>
      rowsOf.map(({ targets, last }) => ({
        logps: Float64Array.from(targets, (row) => -losses_N[row]!),
        values: values_N ? Float64Array.from([...targets, last], (row) => values_N[row]!) : new Float64Array(0),
      })),
    spread(gradients) {
      const weights_N = gradients.some(({ dLogps }) => dLogps) ? new Float64Array(targets_N.length) : null;
      const dValues_N = gradients.some(({ dValues }) => dValues) ? new Float64Array(targets_N.length) : null;
      for (const [i, { dLogps, dValues }] of gradients.entries()) {
        const { targets, last } = rowsOf[i]!;
        // A row's loss is −log p.
        if (dLogps) for (const [k, row] of targets.entries()) weights_N![row] = -dLogps[k]!;
        if (dValues) {
          for (const [k, row] of targets.entries()) dValues_N![row]! += dValues[k]!;
          dValues_N![last]! += dValues[targets.length] ?? 0;
        }
      }
      return { weights_N, dValues_N };
    },
  };
}

/** Sequences one after another; attention and targets stay within each. */
export function microBatchOf(sequences: readonly Sequence[]): MicroBatch & { readonly documents: readonly number[] } {
  const length = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  const ids = new Uint32Array(length);
  const labels = new Int32Array(length);
  let at = 0;
  for (const sequence of sequences) {
    ids.set(sequence.ids, at);
    for (let t = 0; t < sequence.ids.length; t++)
      labels[at + t] = sequence.carries[t] === 1 ? sequence.ids[t]! : NO_LABEL;
    at += sequence.ids.length;
  }
  return { ids, labels, rows: 1, length, documents: sequences.map(({ ids }) => ids.length) };
}

/** Runs of sequences of at most `limit` tokens, cut only between groups of `together`. */
function* parts(sequences: readonly Sequence[], limit: number, together = 1): Generator<readonly Sequence[]> {
  let from = 0;
  let tokens = 0;
  for (let at = 0; at < sequences.length; at += together) {
    const group = sequences.slice(at, at + together).reduce((sum, { ids }) => sum + ids.length, 0);
    if (at > from && tokens + group > limit) {
      yield sequences.slice(from, at);
      from = at;
      tokens = 0;
    }
    tokens += group;
  }
  if (from < sequences.length) yield sequences.slice(from);
}

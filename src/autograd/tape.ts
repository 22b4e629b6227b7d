/**
 * The tape: a decorator of Ops that records what the backward pass needs, and runs that pass.
 *
 * The record is cut into segments (a model's blocks), each a function of one tensor. What a segment keeps of its forward pass is
 * the recompute policy; the rest is computed again, to the same bits, when the backward pass comes to it:
 *
 *   none    everything
 *   cheap   the outputs of linear layers and of attention; norms, rotations, gates and sums are computed again (LLaMA 1 §2.4)
 *   block   nothing but its input (Chen et al. 2016, arXiv:1604.06174)
 *
 * Gradients that arise inside a segment are released when it is done, so that the backward pass needs one segment's memory.
 */
import { assert } from '../base/assert.ts';
import type { Device } from '../devices/device.ts';
import type { AttentionSaved, Gradient, TrainingOps } from '../kernels/backward-ops.ts';
import { isCacheLayer, type Ops, type Routes } from '../kernels/ops.ts';
import { elementCount, type Tensor } from '../tensor/tensor.ts';
import { type DifferentiableOp, type RecordedCall, runRule } from './rules.ts';

export const recomputePolicies = ['none', 'cheap', 'block'] as const;
export type Recompute = (typeof recomputePolicies)[number];

interface Segment {
  /** Its place among the segments, in the order in which they were run. */
  readonly index: number;
  readonly input: Tensor;
  readonly output: Tensor;
  readonly run: (input: Tensor) => Tensor;
  /** null: to be recorded again. */
  readonly calls: readonly RecordedCall[] | null;
  /** In order, the results that `cheap` kept. */
  readonly kept: readonly Tensor[];
}

/** Inside a segment that is not recorded: what to keep of it, or, the second time, what was kept. */
interface Pass {
  readonly calls: RecordedCall[] | null;
  readonly keep: Tensor[] | null;
  readonly replay: { readonly kept: readonly Tensor[]; next: number } | null;
}

/** Ops, and what adapters call. */
export type TapeOps = Ops & Pick<TrainingOps, 'linearSum'>;

export class Tape {
  /** What the model's forward pass is given. */
  readonly ops: TapeOps;
  private readonly device: Device;
  private readonly recompute: Recompute;
  private readonly parameters: ReadonlyMap<Tensor, Gradient>;
  private readonly items: (RecordedCall | Segment)[] = [];
  /** Activations that depend on a parameter whose gradient is wanted. */
  private readonly dependent = new WeakSet<Tensor>();
  private readonly gradients = new Map<Tensor, Gradient>();
  private pass: Pass | null = null;
  private segments = 0;
  /** How many recorded calls read an activation. */
  private readonly readers = new Map<Tensor, number>();
  /** Of a gradient's memory that several activations have: how many others there still are. */
  private readonly owners = new Map<Tensor, number>();
  /** Gradients that are done with, where the backward pass is. */
  private free: Tensor[] = [];

  constructor(device: Device, parameters: ReadonlyMap<Tensor, Gradient>, recompute: Recompute) {
    this.device = device;
    this.parameters = parameters;
    this.recompute = recompute;
    this.ops = this.decorate();
  }

  /** Runs one segment of the model. Inside it nothing but its input and parameters may need gradients. */
  segment(input: Tensor, run: (input: Tensor) => Tensor): Tensor {
    assert(this.pass === null, 'tape: segments do not nest');
    const { device, recompute } = this;
    const index = this.segments++;
    const mark = device.mark();
    const calls: RecordedCall[] | null = recompute === 'none' ? [] : null;
    const keep: Tensor[] | null = recompute === 'cheap' ? [] : null;
    this.pass = { calls, keep, replay: null };
    let output = run(input);
    this.pass = null;
    const isDependent = this.needsGradient(output);
    let kept: readonly Tensor[] = [];
    if (!calls) {
      const survivors = [...new Set([...(keep ?? []), output])];
      const moved = device.keep(mark, survivors);
      kept = (keep ?? []).map((tensor) => moved[survivors.indexOf(tensor)]!);
      output = moved[survivors.indexOf(output)]!;
    }
    if (isDependent) {
      this.dependent.add(output);
      this.items.push({ index, input, output, run, calls, kept });
    }
    return output;
  }

  /** The gradient that an activation is to start the backward pass with; null when it does not depend on any parameter. */
  gradientOf(tensor: Tensor): Gradient | null {
    const parameter = this.parameters.get(tensor);
    if (parameter) return parameter;
    if (!this.dependent.has(tensor)) return null;
    let gradient = this.gradients.get(tensor);
    if (!gradient) {
      const place = this.reused(tensor.shape) ?? this.device.scratch(tensor.shape);
      gradient = { tensor: place, isEmpty: true };
      this.gradients.set(tensor, gradient);
    }
    return gradient;
  }

  /** Runs the rules of everything recorded, last first. The caller has put the loss's gradient into its inputs' gradients. */
  backward(): void {
    for (const _ of this.backwardSteps());
  }

  /**
   * The same, yielding the number of each segment once the gradients of its parameters are finished: in between they may be passed on.
   * `enter` is called before a segment is worked on.
   */
  *backwardSteps(enter: (segment: number) => void = () => {}): Generator<number, void> {
    for (const item of this.items.reverse()) {
      if (!('op' in item)) enter(item.index);
      const dy = this.gradients.get(item.output);
      if (dy && !dy.isEmpty) {
        if ('op' in item) this.runCall(item, dy.tensor);
        else {
          this.gradientOf(item.input); // outlives the segment, so it has its place before
          this.runSegment(item);
        }
        this.done(item.output, dy);
      }
      if (!('op' in item)) yield item.index;
    }
    this.segments = 0;
    this.items.length = 0;
    this.gradients.clear();
    this.readers.clear();
    this.owners.clear();
    this.free = [];
  }

  /** An activation's gradient has been passed on: its memory may serve another. */
  private done(output: Tensor, dy: Gradient): void {
    const others = this.owners.get(dy.tensor) ?? 0;
    if (others > 0) this.owners.set(dy.tensor, others - 1);
    else this.free.push(dy.tensor);
    this.gradients.delete(output);
  }

  private reused(shape: readonly number[]): Tensor | null {
    const fits = this.free.findIndex((tensor) => elementCount(tensor.shape) === elementCount(shape));
    return fits < 0 ? null : this.device.reshape(this.free.splice(fits, 1)[0]!, shape);
  }

  private runCall(call: RecordedCall, dy: Tensor): void {
    const passed = call.op === 'add' ? this.passOn(call.inputs as readonly Tensor[], dy) : [];
    runRule(this.device.backward, (input) => (passed.includes(input) ? null : this.gradientOf(input)), dy, call);
  }

  /** The gradient of a sum is that of its terms: those that nothing else reads get the sum's own, which nobody writes to any more. */
  private passOn(terms: readonly Tensor[], dy: Tensor): Tensor[] {
    const passed = terms.filter(
      (term) => this.dependent.has(term) && this.readers.get(term) === 1 && !this.gradients.has(term),
    );
    for (const term of passed) this.gradients.set(term, { tensor: dy, isEmpty: false });
    this.owners.set(dy, (this.owners.get(dy) ?? 0) + passed.length);
    return passed;
  }

  private runSegment({ input, output, run, calls, kept }: Segment): void {
    const mark = this.device.mark();
    const outside = this.free;
    this.free = [];
    let recorded = calls;
    let result = output;
    if (!recorded) {
      const again: RecordedCall[] = [];
      this.pass = { calls: again, keep: null, replay: { kept, next: 0 } };
      result = run(input);
      this.pass = null;
      recorded = again;
      this.gradients.set(result, this.gradients.get(output)!);
    }
    for (const call of recorded.toReversed()) {
      const dy = this.gradients.get(call.output);
      if (!dy) continue;
      if (!dy.isEmpty) this.runCall(call, dy.tensor);
      if (call.output === result) this.gradients.delete(result);
      else this.done(call.output, dy);
    }
    this.device.release(mark);
    this.free = outside;
  }

  private needsGradient(tensor: Tensor): boolean {
    return this.parameters.has(tensor) || this.dependent.has(tensor);
  }

  /** Notes a call whose inputs need gradients: its output then does too. */
  private record<Op extends DifferentiableOp>(
    op: Op,
    inputs: RecordedCall<Op>['inputs'],
    tensors: readonly (Tensor | undefined)[],
    output: Tensor,
    attention: AttentionSaved | null = null,
    routes: Routes | null = null,
  ): Tensor {
    if (!tensors.some((tensor) => tensor && this.needsGradient(tensor))) return output;
    this.dependent.add(output);
    const call = { op, inputs, output, attention, routes } as RecordedCall;
    for (const tensor of tensors) if (tensor) this.readers.set(tensor, (this.readers.get(tensor) ?? 0) + 1);
    if (!this.pass) this.items.push(call);
    else this.pass.calls?.push(call);
    return output;
  }

  /** A result that `cheap` keeps: computed the first time, taken from what was kept the second. */
  private kept(compute: () => Tensor): Tensor {
    const { replay, keep } = this.pass ?? {};
    if (replay && replay.kept.length > 0) return replay.kept[replay.next++]!;
    const result = compute();
    keep?.push(result);
    return result;
  }

  private decorate(): Tape['ops'] {
    const { ops } = this.device;
    return {
      embed: (table, ids) => this.record('embed', [table, ids], [table], ops.embed(table, ids)),
      linear: (x, w, bias) =>
        this.record(
          'linear',
          [x, w, bias],
          [x, w, bias],
          this.kept(() => ops.linearExact(x, w, bias)),
        ),
      linearSum: (...inputs) =>
        this.record(
          'linearSum',
          inputs,
          inputs,
          this.kept(() => ops.linearSum(...inputs)),
        ),
      rmsNorm: (x, gain, eps) => this.record('rmsNorm', [x, gain, eps], [x, gain], ops.rmsNorm(x, gain, eps)),
      layerNorm: (x, gain, shift, eps) =>
        this.record('layerNorm', [x, gain, shift, eps], [x, gain, shift], ops.layerNorm(x, gain, shift, eps)),
      batchNorm: (x, gain, shift, eps, statistics) => {
        // The second time through, the running statistics have already moved.
        const used = this.pass?.replay ? { ...statistics, momentum: 0 } : statistics;
        const inputs = [x, gain, shift, eps, used] as const;
        return this.record('batchNorm', [...inputs], [x, gain, shift], ops.batchNorm(...inputs));
      },
      rotation: (positions, frequencies) => ops.rotation(positions, frequencies),
      rope: (x, rotation) => this.record('rope', [x, rotation], [x], ops.rope(x, rotation)),
      addSinusoids: (x, positions, layout) =>
        this.record('addSinusoids', [x, positions, layout], [x], ops.addSinusoids(x, positions, layout)),
      placeRows: () => assert(false, 'tape: rows that are written over have no gradient'),
      appendToCache: (cache, k, v, batch) => ops.appendToCache(cache, k, v, batch),
      attention: (q_NQ, keyValues, batch, options) => {
        assert(!isCacheLayer(keyValues), 'tape: training attends over whole sequences, not over a cache');
        const { k_NP, v_NP } = keyValues;
        const computed: { logSumExp?: Tensor } = {};
        const mix_NQ = this.kept(() => {
          const result = ops.attentionWithLogSumExp(q_NQ, keyValues, batch, options);
          computed.logSumExp = result.logSumExp_NH;
          return result.mix_NQ;
        });
        const logSumExp_NH = this.kept(() => computed.logSumExp!);
        const saved = { q_NQ, k_NP, v_NP, mix_NQ, logSumExp_NH };
        const inputs = [q_NQ, k_NP, v_NP, options.sinks_H];
        return this.record('attention', [q_NQ, keyValues, batch, options], inputs, mix_NQ, saved);
      },
      swiglu: (gate, up, limit) => this.record('swiglu', [gate, up, limit], [gate, up], ops.swiglu(gate, up, limit)),
      geglu: (gate, up, form) => this.record('geglu', [gate, up, form], [gate, up], ops.geglu(gate, up, form)),
      relu: (x) => this.record('relu', [x], [x], ops.relu(x)),
      gelu: (x, form) => this.record('gelu', [x, form], [x], ops.gelu(x, form)),
      add: (x, y) => this.record('add', [x, y], [x, y], ops.add(x, y)),
      route: (scores, options) => {
        const routes = ops.route(scores, options);
        this.record('route', [scores, options], [scores], routes.weights_NU, null, routes);
        return routes;
      },
      routedLinear: (x, w, routes, bias) =>
        this.record(
          'routedLinear',
          [x, w, routes, bias],
          [x, w, bias],
          this.kept(() => ops.routedLinear(x, w, routes, bias)),
        ),
      mixRoutes: (x, routes) => this.record('mixRoutes', [x, routes], [x, routes.weights_NU], ops.mixRoutes(x, routes)),
      spreadRoutes: (x, routes) =>
        this.record('spreadRoutes', [x, routes], [x, routes.weights_NU], ops.spreadRoutes(x, routes)),
      ones: (shape, beside) => ops.ones(shape, beside),
      dropout: (x, options) => this.record('dropout', [x, options], [x], ops.dropout(x, options)),
      softcap: (x, cap) => this.record('softcap', [x, cap], [x], ops.softcap(x, cap)),
      scale: (x, factor) => this.record('scale', [x, factor], [x], ops.scale(x, factor)),
      selectRows: (x, rows) => this.record('selectRows', [x, rows], [x], ops.selectRows(x, rows)),
    };
  }
}

/**
 * How several ranks train one model: each computes the gradients of its rows, the sums of its part of every parameter's gradient come to
 * it, it moves that part, and sends it to the others. sharding.ts says what each holds.
 *
 *   travels in a step, as a multiple of the parameters   none, optimizer  2      gradients  1 + passes      parameters  1 or 2 a pass more
 *
 * Sums are made in the order of the ranks, whatever is sharded and whether they are made while the backward pass goes on.
 * Source   Rajbhandari et al. 2020, arXiv:1910.02054 §5, §7; overlap: Touvron et al. 2023, arXiv:2302.13971 §2.4.
 */
import type { Device } from '../../devices/device.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import { type Collective, TravelSpace } from '../collective.ts';
import type { Optimizer } from '../optimizer.ts';
import type { WeightAverage } from '../step/weight-average.ts';
import { type Sharding, sharesGradients, sharesParameters } from './sharding.ts';
import { eachPart, type Member, pack, totalOf, type Unit, unitsOf } from './unit.ts';

export interface DataParallelOptions {
  readonly sharding: Sharding;
  /** Whether a block's gradients travel while the blocks before it are worked on; absent: between machines, not within one. */
  readonly overlap?: boolean | undefined;
}

export class DataParallel {
  /** Gradients are summed after every pass, and every rank must make as many. */
  readonly sumsEveryPass: boolean;
  /** Every rank must take part in every forward pass. */
  readonly sharesParameters: boolean;
  private readonly device: Device;
  private readonly collective: Collective;
  private readonly optimizer: Optimizer;
  private readonly sharding: Sharding;
  private readonly overlaps: boolean;
  private readonly units: readonly Unit[];
  /** This rank's sums of a step's gradients. */
  private readonly sums: ReadonlyMap<Unit, Float32Array>;
  /** Those that have any yet in this step. */
  private readonly summed = new Set<Unit>();
  private readonly leavingDevice = new TravelSpace();
  private readonly leaving = new TravelSpace();
  private readonly oneMorePass = new TravelSpace();
  private readonly own = new TravelSpace();
  private readonly gathered = new TravelSpace();
  /** Σ g² of what this rank handed over in a step so far. */
  private sent = 0;
  private travelling: Promise<void> = Promise.resolve();
  /** The block whose parameters are in their place. */
  private present: number | null = null;
  /** Whose parameters are brought: the averages; null: those that are trained. */
  private shown: WeightAverage | null = null;

  constructor(device: Device, collective: Collective, optimizer: Optimizer, options: DataParallelOptions) {
    this.device = device;
    this.collective = collective;
    this.optimizer = optimizer;
    this.sharding = options.sharding;
    this.overlaps = options.overlap ?? !collective.isOneMachine;
    const division = { sharding: options.sharding, size: collective.size };
    this.sumsEveryPass = sharesGradients(division);
    this.sharesParameters = sharesParameters(division);
    this.units = unitsOf(optimizer.shards, collective.rank);
    this.sums = new Map(this.units.map((unit) => [unit, new Float32Array(unit.counts[collective.rank]!)]));
  }

  /** Whether the gradients of a pass are to be handed over block by block. */
  handsOver(isLastPass: boolean): boolean {
    return this.sumsEveryPass || (this.overlaps && isLastPass);
  }

  /** Of which weights the blocks are from here on, until a step begins. */
  show(average: WeightAverage | null): void {
    if (this.shown !== average) this.present = null;
    this.shown = average;
  }

  /** Puts the parameters of a block in their place. */
  bring(block: number): void {
    if (!this.sharesParameters || this.present === block) return;
    const unit = this.units.find((one) => one.block === block)!;
    const own = this.own.take(unit.counts[this.collective.rank]!);
    for (const { shard, at } of unit.members) {
      const { name, tensor, own: trained = null } = shard.parameter;
      own.set((this.shown?.of({ name, tensor, own: trained }).own ?? trained)!.numbers, at);
    }
    this.spread(unit, own, ({ tensor }) => tensor);
    this.present = block;
  }

  /** A `segment` that brings each block's parameters before it is run. */
  brought(segment: (input_ND: Tensor, run: (input_ND: Tensor) => Tensor) => Tensor): typeof segment {
    let block = 0;
    return (input_ND, run) => {
      this.bring(block++);
      return segment(input_ND, run);
    };
  }

  /** Lets the finished gradients of a block (null: of what is outside of the blocks) travel to the ranks that sum them. */
  async handOver(block: number | null): Promise<void> {
    const unit = this.units.find((one) => one.block === block);
    if (unit) await this.send(unit);
  }

  private async send(unit: Unit): Promise<void> {
    const { device } = this;
    const gradients = unit.members.map(({ shard }) => shard.parameter.gradient);
    const space = this.leavingDevice.take(totalOf(unit));
    let at = 0;
    const reading = gradients.map(({ tensor, isEmpty }) => {
      const count = elementCount(tensor.shape);
      at += count;
      return isEmpty ? null : device.read(tensor, 0, count, space.subarray(at - count, at));
    });
    // The next block's, or the next pass's, may lie in the same place.
    if (this.sumsEveryPass) for (const gradient of gradients) gradient.isEmpty = true;
    const wholes = await Promise.all(reading);
    for (const whole of this.sumsEveryPass ? wholes : []) this.sent += sumOfSquares(whole ?? []);
    await this.travelling;
    const packed = this.leaving.take(totalOf(unit));
    pack(packed, unit, wholes);
    this.travelling = this.sumOverRanks(unit, packed);
    this.travelling.catch(() => {}); // whoever waits for it hears of it
  }

  private async sumOverRanks(unit: Unit, packed: Float32Array): Promise<void> {
    const when = this.overlaps ? 'beside' : 'now';
    const sums = this.sums.get(unit)!;
    const isFirst = !this.summed.has(unit);
    this.summed.add(unit);
    const more = isFirst ? sums : this.oneMorePass.take(sums.length);
    await this.collective.sumParts(more, packed, unit.counts, when);
    if (!isFirst) for (let i = 0; i < sums.length; i++) sums[i]! += more[i]!;
  }

  /** Σ g² over what this rank has handed over in this step, where its gradients are gone by then; null: they are there. */
  sentSquares(): number | null {
    return this.sumsEveryPass ? this.sent : null;
  }

  /** What a rank does that has no pass where others have one. */
  async idlePass(): Promise<void> {
    this.idleForward();
    for (const { block } of this.units) {
      if (block !== null) this.bring(block);
      await this.handOver(block);
    }
  }

  idleForward(): void {
    for (const { block } of this.units.toReversed()) if (block !== null) this.bring(block);
  }

  /** Waits until all gradients are summed: those that were not handed over yet, too. */
  async finish(): Promise<void> {
    await this.travelling;
    for (const unit of this.units) if (!this.summed.has(unit)) await this.send(unit);
    await this.travelling;
    if (this.sharding !== 'none') return;
    for (const unit of this.units) this.spread(unit, this.sums.get(unit)!, ({ gradient }) => gradient.tensor);
  }

  /** Σ g² of each parameter's gradient, summed in the order of the ranks. */
  squares(): Float64Array {
    const { rank, size } = this.collective;
    const count = this.optimizer.shards.length;
    const parts = new Float64Array(size * count);
    for (const unit of this.units) {
      for (const member of unit.members) {
        parts[rank * count + member.index] = sumOfSquares(this.sumsOf(unit, member));
      }
    }
    this.collective.sum(parts); // every number has one rank: the others add zeros
    return Float64Array.from({ length: count }, (_, i) => {
      let sum = 0;
      for (let at = i; at < parts.length; at += count) sum += parts[at]!;
      return sum;
    });
  }

  /** Moves the parameters by their summed gradients; then every rank has them as sharding says. */
  async update(learningRate: number, gradientScale: number): Promise<void> {
    const { optimizer } = this;
    if (this.sharding === 'none') {
      optimizer.update(learningRate, gradientScale);
      return;
    }
    optimizer.step++;
    for (const unit of this.units) {
      const moved = this.own.take(unit.counts[this.collective.rank]!);
      for (const member of unit.members) {
        if (member.shard.own.count === 0) continue;
        const numbers = moved.subarray(member.at, member.at + member.shard.own.count);
        await this.move(numbers, member, this.sumsOf(unit, member), learningRate, gradientScale);
        member.shard.parameter.own?.numbers.set(numbers);
      }
      if (!this.sharesParameters || unit.block === null) this.spread(unit, moved, ({ tensor }) => tensor);
    }
    this.present = null;
  }

  /** What a step begins with: no sums, and no trust in what was in a place before. */
  clear(): void {
    this.summed.clear();
    this.sent = 0;
    this.present = null;
    this.shown = null;
  }

  /** Bytes outside of the device: this rank's sums, and its part of parameters that lie there. */
  heldBytes(): number {
    const { rank } = this.collective;
    const shards = this.optimizer.shards;
    const own = shards.reduce((sum, { parameter }) => sum + (parameter.own?.numbers.byteLength ?? 0), 0);
    return shards.reduce((sum, { parts }) => sum + 4 * parts[rank]!.count, own);
  }

  /** moved ← this rank's numbers of a parameter after the step. */
  private async move(
    moved: Float32Array,
    { shard }: Member,
    sums: Float32Array,
    learningRate: number,
    gradientScale: number,
  ): Promise<void> {
    const { device, optimizer } = this;
    const { own } = shard;
    const { tensor, gradient, own: kept } = shard.parameter;
    if (kept) device.write(tensor, kept.numbers, own.from);
    device.write(gradient.tensor, sums, own.from);
    optimizer.move(shard, learningRate, gradientScale);
    await device.read(tensor, own.from, own.count, moved);
  }

  private sumsOf(unit: Unit, { shard, at }: Member): Float32Array {
    const { count } = shard.parts[this.collective.rank]!;
    return this.sums.get(unit)!.subarray(at, at + count);
  }

  /** Every rank's own numbers of a unit, into the tensors of all. */
  private spread(unit: Unit, own: Float32Array, where: (parameter: Member['shard']['parameter']) => Tensor): void {
    const packed = this.gathered.take(totalOf(unit));
    this.collective.gather(packed, own, unit.counts);
    eachPart(unit, (i, { from, count }, at) => {
      const tensor = where(unit.members[i]!.shard.parameter);
      if (count > 0) this.device.write(tensor, packed.subarray(at, at + count), from);
    });
  }
}

/** By places: going over a typed array by its iterator takes ten times as long. */
function sumOfSquares(numbers: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i]! * numbers[i]!;
  return sum;
}

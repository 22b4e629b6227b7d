/**
 * Kernels in, work for the GPU out. Dispatches are held back for as long as a block of a model lasts, joined where they can be (fusion.ts),
 * and encoded; they are submitted when something is read, or when many have gathered, so that the GPU starts while the rest is encoded. From a step's second time on, nothing is made for it: pipelines, bind groups
 * and buffers are found again.
 *
 * What kernels are told lies in two buffers that are written once a submission: their parameters in a ring of uniforms, and words (ids,
 * positions, lists of blocks) in one storage buffer.
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import type { Kernel, ParameterType } from '../../kernels/wgsl.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { type Call, type Dispatch, hold, joined } from './fusion.ts';
import {
  assertWrittenOnce,
  COPY_TARGET,
  MAP_READ,
  type Memory,
  mapForReading,
  type Pause,
  type Region,
  UNIFORM,
} from './memory.ts';
import { type Counts, Timer } from './timer.ts';

/** Calls that are held back at most: more than a block of a model has. */
const HELD = 64;
/** Dispatches of a submission at most. */
const SUBMISSION = 128;
/** Words before the first is overwritten, unless one list alone is longer. */
const WORDS = 2 ** 16;
/** Arithmetic a second that is assumed until some was measured: what the slowest of GPUs does. */
const SLOWEST = 5e9;
/** Seconds that a dispatch may take: systems end those of several seconds, and the screen stands still for as long as one lasts. */
const LONGEST_DISPATCH = 0.5;
/** A submission with less arithmetic tells nothing of its rate. */
const TELLING_FLOPS = 1e9;

export interface QueueOptions {
  /** Milliseconds; without it nothing is measured. */
  readonly clock?: (() => number) | undefined;
  /** What longestFlops is, whatever is measured. */
  readonly dispatchFlops?: number | undefined;
  /** See mapForReading. */
  readonly pause?: Pause | undefined;
}

interface Pipeline {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly groups: Map<number, { readonly regions: readonly Region[]; readonly group: GPUBindGroup }[]>;
  readonly types: readonly ParameterType[];
  readonly parameterNames: readonly string[];
  readonly bufferNames: readonly string[];
  readonly isWritten: readonly boolean[];
}

export class Queue {
  readonly counts: Counts = { dispatches: 0, submissions: 0, made: 0, kernels: new Map() };
  private readonly device: GPUDevice;
  private readonly memory: Memory;
  private readonly clock: (() => number) | null;
  private readonly dispatchFlops: number | null;
  private readonly pause: Pause | null;
  private readonly pipelines = new Map<Kernel, Pipeline>();
  /** While work is rehearsed: the kernels that it has met. */
  private rehearsed: Set<Kernel> | null = null;
  private held: Call[] = [];
  private timer: Timer | null = null;
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private pipelineSet: Pipeline | null = null;
  private encoded = 0;
  private encodedFlops = 0;
  private serial = 0;
  /** Arithmetic a second, as last measured. */
  private rate = SLOWEST;
  private doneMs = 0;
  /** Bytes between two slots of parameters. */
  private readonly slotBytes: number;
  private readonly uniforms: GPUBuffer;
  private readonly slots: ArrayBuffer;
  private readonly slotView: DataView;
  private words: Uint32Array<ArrayBuffer> = new Uint32Array(WORDS);
  private wordCount = 0;
  private wordsSent = 0;
  private region: Region;
  wordsGeneration = 0;
  private readonly staging = new Map<number, GPUBuffer[]>();
  private flushing: Promise<void> | null = null;
  private failure: Error | null = null;
  private reject: (error: Error) => void = () => {};
  private readonly failed = new Promise<never>((_, reject) => {
    this.reject = reject;
  });

  /** What the adapter calls itself. */
  private readonly name: string;

  constructor(device: GPUDevice, name: string, memory: Memory, { clock, dispatchFlops, pause }: QueueOptions = {}) {
    this.clock = clock ?? null;
    this.dispatchFlops = dispatchFlops ?? null;
    this.pause = pause ?? null;
    this.device = device;
    this.name = name;
    this.memory = memory;
    this.failed.catch(() => {}); // who waits for a read hears of it
    this.slotBytes = Math.max(128, device.limits.minUniformBufferOffsetAlignment);
    this.slots = new ArrayBuffer(SUBMISSION * this.slotBytes);
    this.slotView = new DataView(this.slots);
    this.uniforms = device.createBuffer({ size: this.slots.byteLength, usage: UNIFORM | COPY_TARGET });
    this.region = memory.create(this.words.byteLength, 'arena', 'the words of a step');
  }

  /** Where the words are, for kernels that read them. */
  get wordsRegion(): Region {
    return this.region;
  }

  /** The arithmetic that one dispatch should have at most, so that it takes no longer than LONGEST_DISPATCH. */
  get longestFlops(): number {
    return this.dispatchFlops ?? this.rate * LONGEST_DISPATCH;
  }

  /** Everything that follows fails with this error: the device is lost. */
  fail(error: Error): void {
    if (this.failure) return;
    this.failure = error;
    this.reject(error);
  }

  get error(): Error | null {
    return this.failure;
  }

  /** Runs what queues work, each dispatch in a pass of its own, and returns the seconds that the GPU took for each kernel. */
  async time(run: () => Promise<void>): Promise<Map<string, number>> {
    this.submit();
    this.timer = new Timer(this.device);
    try {
      await run();
      this.submit();
      return await this.timer.read();
    } finally {
      this.timer.close();
      this.timer = null;
    }
  }

  /** Compiles what `run` queues, as compile() does; nothing is computed, and what `run` reads is 0. */
  async rehearse(run: () => void | Promise<void>, onProgress?: (done: number, total: number) => void): Promise<void> {
    this.submit();
    const met = new Set<Kernel>();
    this.rehearsed = met;
    try {
      await run();
      this.settle();
    } finally {
      this.held = [];
      this.rehearsed = null;
    }
    await this.compile(met, onProgress);
  }

  /** Compiles kernels side by side, without blocking. Throws UnsupportedError `webgpu.compile`. */
  async compile(
    kernels: Iterable<Kernel>,
    onProgress: (done: number, total: number) => void = () => {},
  ): Promise<void> {
    const wanted = [...new Set(kernels)].filter((kernel) => !this.pipelines.has(kernel));
    let done = 0;
    await Promise.all(
      wanted.map(async (kernel) => {
        const descriptor = this.describe(kernel);
        const pipeline = await this.device.createComputePipelineAsync(descriptor.pipeline).catch((error: Error) => {
          throw new UnsupportedError(
            'webgpu.compile',
            `webgpu: ${this.name} does not compile the kernel "${kernel.name}": ${error.message}. Update its driver, or use device "wasm".`,
          );
        });
        this.add(kernel, pipeline, descriptor.layout);
        onProgress(++done, wanted.length);
      }),
    );
  }

  /** Queues `groups` workgroups of a kernel. `bytes`: what it reads and writes at least; both are for counts. */
  dispatch<Parameter extends string, Buffer extends string>(
    kernel: Kernel<Parameter, Buffer>,
    buffers: { readonly [name in Buffer]: Region },
    parameters: { readonly [name in Parameter]: number },
    groups: number,
    bytes = 0,
    flops = 0,
  ): void {
    if (groups === 0) return;
    if (this.failure) throw this.failure;
    this.held.push(hold({ kernel, buffers, parameters, groups, bytes, flops }));
    if (this.held.length === HELD) this.settle();
  }

  /** Encodes what is held back, joined where values between are released and nobody else reads them. */
  settle(): void {
    if (this.held.length === 0) return;
    const calls = joined(this.held);
    this.held = [];
    for (const call of calls) this.encode(call);
  }

  private encode({ kernel, buffers, parameters, groups, bytes, flops }: Dispatch): void {
    if (this.rehearsed) {
      this.rehearsed.add(kernel);
      return;
    }
    const pipeline = this.pipelines.get(kernel) ?? this.compileNow(kernel);
    if (this.encoded === SUBMISSION) this.submit();
    const pass = this.openPass(kernel.name);
    if (this.pipelineSet !== pipeline) {
      pass.setPipeline(pipeline.pipeline);
      this.pipelineSet = pipeline;
    }
    const at = this.encoded * this.slotBytes;
    this.slotView.setUint32(at, groups, true);
    for (let i = 0; i < pipeline.types.length; i++) {
      const value = parameters[pipeline.parameterNames[i]!]!;
      if (pipeline.types[i] === 'f32') this.slotView.setFloat32(at + 4 + 4 * i, value, true);
      else if (pipeline.types[i] === 'i32') this.slotView.setInt32(at + 4 + 4 * i, value, true);
      else this.slotView.setUint32(at + 4 + 4 * i, value, true);
    }
    pass.setBindGroup(0, this.groupOf(pipeline, buffers), [at]);
    const most = this.device.limits.maxComputeWorkgroupsPerDimension;
    if (groups <= most) pass.dispatchWorkgroups(groups);
    else {
      const rows = Math.ceil(groups / most);
      pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
    }
    this.encoded++;
    this.encodedFlops += flops;
    this.count(kernel.name, bytes, flops);
    if (this.timer) this.closePass();
  }

  /**
   * Puts numbers where kernels find them (wordsRegion), at word `at` and on; for the dispatches that follow, until `wordsGeneration`
   * changes with a later call.
   */
  putWords(count: number): { readonly at: number; readonly words: Uint32Array } {
    if (this.wordCount + count > this.words.length) this.turnWords(count);
    const at = this.wordCount;
    this.wordCount += count;
    return { at, words: this.words.subarray(at, at + count) };
  }

  /** Starts again at the first word, behind all that was queued; with more room where `count` needs it. */
  private turnWords(count: number): void {
    this.submit();
    if (count > this.words.length) {
      this.words = new Uint32Array(2 ** Math.ceil(Math.log2(count)));
      this.region = this.memory.create(this.words.byteLength, 'arena', 'the words of a step');
    }
    this.wordCount = this.wordsSent = 0;
    this.wordsGeneration++;
  }

  /** Sets bytes of a region, after all that was queued before. */
  write(region: Region, bytes: ArrayBufferView<ArrayBuffer>, offset = 0): void {
    if (this.failure) throw this.failure;
    this.settle();
    if (this.rehearsed) return;
    if (region.touched === this.serial) this.submit();
    this.device.queue.writeBuffer(
      region.buffer,
      region.offset + offset,
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
  }

  copy(to: Region, toOffset: number, from: Region, fromOffset: number, bytes: number): void {
    if (bytes === 0) return;
    if (this.failure) throw this.failure;
    this.settle();
    if (this.rehearsed) return;
    this.closePass();
    this.openEncoder().copyBufferToBuffer(
      from.buffer,
      from.offset + fromOffset,
      to.buffer,
      to.offset + toOffset,
      bytes,
    );
    to.touched = from.touched = this.serial;
  }

  clear(region: Region, bytes: number): void {
    if (this.failure) throw this.failure;
    this.settle();
    if (this.rehearsed) return;
    this.closePass();
    this.openEncoder().clearBuffer(region.buffer, region.offset, Math.min(region.size, Math.ceil(bytes / 4) * 4));
    region.touched = this.serial;
  }

  /** The f32 numbers of a region, as they are after all that was queued. Reads of one turn of the event loop are one submission. */
  async read(region: Region, offset: number, count: number): Promise<Floats> {
    if (count === 0) return new Float32Array(0);
    if (this.failure) throw this.failure;
    this.settle();
    if (this.rehearsed) return new Float32Array(count);
    const size = 2 ** Math.ceil(Math.log2(Math.max(256, count * 4)));
    const staging = this.staging.get(size)?.pop() ?? this.makeStaging(size);
    this.closePass();
    this.openEncoder().copyBufferToBuffer(region.buffer, region.offset + offset, staging, 0, count * 4);
    region.touched = this.serial;
    this.flushing ??= Promise.resolve().then(() => {
      this.flushing = null;
      this.submit();
    });
    await this.flushing;
    try {
      // A lost device rejects what is pending, but not on every system.
      const mapped = mapForReading(this.device, staging, count * 4, this.pause, () => this.failure !== null);
      await Promise.race([mapped, this.failed]);
    } catch (error) {
      throw this.failure ?? error;
    }
    const numbers = new Float32Array(staging.getMappedRange(0, count * 4).slice(0));
    staging.unmap();
    const list = this.staging.get(size);
    if (list) list.push(staging);
    else this.staging.set(size, [staging]);
    return numbers;
  }

  submit(): void {
    this.settle();
    if (this.rehearsed) return;
    this.closePass();
    if (!this.encoder) return;
    const { queue } = this.device;
    if (this.encoded > 0) queue.writeBuffer(this.uniforms, 0, this.slots, 0, this.encoded * this.slotBytes);
    if (this.wordCount > this.wordsSent) {
      const count = this.wordCount - this.wordsSent;
      queue.writeBuffer(this.region.buffer, this.wordsSent * 4, this.words.buffer, this.wordsSent * 4, count * 4);
      this.wordsSent = this.wordCount;
    }
    queue.submit([this.encoder.finish()]);
    this.counts.submissions++;
    if (this.clock && this.encodedFlops >= TELLING_FLOPS) void this.measure(this.clock, this.encodedFlops);
    this.encoder = null;
    this.encoded = 0;
    this.encodedFlops = 0;
    this.serial++;
  }

  /** The rate of a submission, which begins when the one before is done. */
  private async measure(clock: () => number, flops: number): Promise<void> {
    const submittedMs = clock();
    try {
      await this.device.queue.onSubmittedWorkDone();
    } catch {
      return; // a lost device has no rate
    }
    const now = clock();
    const milliseconds = now - Math.max(submittedMs, this.doneMs);
    this.doneMs = now;
    if (milliseconds > 0) this.rate = (flops * 1000) / milliseconds;
  }

  close(): void {
    this.fail(new UnsupportedError('webgpu.closed', 'webgpu: the device is closed, expected no more work for it.'));
    this.uniforms.destroy();
    for (const list of this.staging.values()) for (const buffer of list) buffer.destroy();
  }

  private openEncoder(): GPUCommandEncoder {
    this.encoder ??= this.device.createCommandEncoder();
    return this.encoder;
  }

  private openPass(name: string): GPUComputePassEncoder {
    this.pass ??= this.openEncoder().beginComputePass(this.timer ? { timestampWrites: this.timer.next(name) } : {});
    return this.pass;
  }

  private closePass(): void {
    this.pass?.end();
    this.pass = null;
    this.pipelineSet = null;
  }

  private makeStaging(size: number): GPUBuffer {
    this.counts.made++;
    return this.device.createBuffer({ size, usage: MAP_READ | COPY_TARGET });
  }

  private describe(kernel: Kernel) {
    const { device } = this;
    const names = Object.keys(kernel.buffers);
    const layout = device.createBindGroupLayout({
      entries: [
        {
          binding: 0,
          visibility: 4,
          buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: this.bindingBytes(kernel) },
        },
        ...names.map((name, i) => ({
          binding: i + 1,
          visibility: 4,
          buffer: { type: kernel.buffers[name]!.isWritten ? ('storage' as const) : ('read-only-storage' as const) },
        })),
      ],
    });
    const pipeline = {
      label: kernel.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ label: kernel.name, code: kernel.code }), entryPoint: 'main' },
    };
    return { layout, pipeline };
  }

  private bindingBytes(kernel: Kernel): number {
    return Math.ceil((Object.keys(kernel.parameters).length + 1) / 4) * 16;
  }

  private compileNow(kernel: Kernel): Pipeline {
    const { layout, pipeline } = this.describe(kernel);
    return this.add(kernel, this.device.createComputePipeline(pipeline), layout);
  }

  private add(kernel: Kernel, pipeline: GPUComputePipeline, layout: GPUBindGroupLayout): Pipeline {
    this.counts.made++;
    const made = {
      name: kernel.name,
      pipeline,
      layout,
      groups: new Map(),
      types: Object.values(kernel.parameters),
      parameterNames: Object.keys(kernel.parameters),
      bufferNames: Object.keys(kernel.buffers),
      isWritten: Object.values(kernel.buffers).map(({ isWritten }) => isWritten),
    };
    assert(4 + 4 * made.types.length <= this.slotBytes, `${kernel.name}: too many parameters for a slot`);
    this.pipelines.set(kernel, made);
    return made;
  }

  private groupOf(pipeline: Pipeline, buffers: Readonly<Record<string, Region>>): GPUBindGroup {
    const { bufferNames, groups, layout } = pipeline;
    let key = 0;
    for (const name of bufferNames) {
      const region = buffers[name]!;
      region.touched = this.serial;
      key = (Math.imul(key, 31) + region.id) | 0;
    }
    const candidates = groups.get(key);
    if (candidates) {
      for (const { regions, group } of candidates) {
        let isSame = true;
        for (let i = 0; i < regions.length; i++) if (regions[i] !== buffers[bufferNames[i]!]) isSame = false;
        if (isSame) return group;
      }
    }
    this.counts.made++;
    const regions = bufferNames.map((name) => buffers[name]!);
    assertWrittenOnce(pipeline, regions);
    const group = this.device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: this.uniforms, offset: 0, size: slotSize(pipeline) } },
        ...regions.map(({ buffer, offset, size }, i) => ({ binding: i + 1, resource: { buffer, offset, size } })),
      ],
    });
    if (candidates) candidates.push({ regions, group });
    else groups.set(key, [{ regions, group }]);
    return group;
  }

  private count(name: string, bytes: number, flops: number): void {
    this.counts.dispatches++;
    const row = this.counts.kernels.get(name) ?? { dispatches: 0, bytes: 0, flops: 0 };
    row.dispatches++;
    row.bytes += bytes;
    row.flops += flops;
    this.counts.kernels.set(name, row);
  }
}

const slotSize = ({ types }: Pipeline) => Math.ceil((types.length + 1) / 4) * 16;

/** What the operations of the device share. */
import { accumulate } from '../../kernels/add/webgpu.ts';
import { ELEMENTS, type Kernel } from '../../kernels/wgsl.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import type { OpenGpu, Products } from './adapter.ts';
import type { Memory, Region } from './memory.ts';
import type { Queue } from './queue.ts';
import { GpuTensor, gpuTensor } from './tensors.ts';

export class Context {
  readonly memory: Memory;
  readonly queue: Queue;

  /** Whether kernels may join the lanes of subgroups. */
  readonly hasSubgroups: boolean;
  readonly products: Products;

  constructor(memory: Memory, queue: Queue, { hasSubgroups, products }: Pick<OpenGpu, 'hasSubgroups' | 'products'>) {
    this.hasSubgroups = hasSubgroups;
    this.products = products;
    this.memory = memory;
    this.queue = queue;
  }

  scratch(shape: readonly number[]): GpuTensor {
    return new GpuTensor(this.memory.take(elementCount(shape) * 4), [...shape]);
  }

  /** A kernel of an invocation an element. */
  each<Parameter extends string, Buffer extends string>(
    kernel: Kernel<Parameter | 'count', Buffer>,
    count: number,
    buffers: { readonly [name in Buffer]: Region },
    parameters: { readonly [name in Exclude<Parameter, 'count'>]: number },
  ): void {
    const bytes = Object.keys(kernel.buffers).length * count * 4;
    const all = { ...parameters, count } as { readonly [name in Parameter | 'count']: number };
    this.queue.dispatch(kernel, buffers, all, Math.ceil(count / ELEMENTS), bytes);
  }

  /** Puts whole numbers where kernels find them; returns the place of the first. */
  words(numbers: ArrayLike<number>): number {
    const { at, words } = this.queue.putWords(numbers.length);
    words.set(numbers);
    return at;
  }

  /** Puts numbers of 32-bit floats among the words. */
  floatWords(numbers: ArrayLike<number>): number {
    const { at, words } = this.queue.putWords(numbers.length);
    new Float32Array(words.buffer, words.byteOffset, words.length).set(numbers);
    return at;
  }

  /** y = factor · x, or y += factor · x */
  accumulate(y: Region, x: Region, count: number, factor: number, adds: boolean): void {
    this.each(accumulate, count, { x, y }, { factor, adds: adds ? 1 : 0 });
  }

  write(tensor: Tensor, numbers: ArrayLike<number>, from = 0): void {
    const floats = Float32Array.from(numbers);
    if (floats.length > 0) this.queue.write(gpuTensor(tensor).region, floats, from * 4);
  }
}

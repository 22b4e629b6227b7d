/** Which device a model is to run on where nobody says so: the one that reads weights faster, by a measurement of a fraction of a second. */
import { CriaError } from '../base/errors.ts';
import { columnCount, rowCount } from '../tensor/tensor.ts';
import type { Device } from './device.ts';
import type { WebGpuDevice } from './webgpu/device.ts';

export interface Choice {
  readonly device: 'wasm' | 'webgpu';
  /** For people: what was found, and what was measured. */
  readonly why: string;
}

/** A GPU must be so much faster: wasm has the same bits everywhere. */
const WORTH_IT = 1.25;
const ROWS = 8192;
const COLUMNS = 2048;
const PRODUCTS = 8;
const MEASURED_MS = 150;

/** Whether a GPU is at fault: where 'auto' chose it, wasm goes on, aloud. */
export function isOfGpu(error: unknown): error is CriaError {
  return error instanceof CriaError && error.code.startsWith('webgpu.');
}

/** Both are opened, measured where it makes sense, and closed again. */
export async function chooseDevice({
  openGpu,
  openWasm,
  clock,
}: {
  readonly openGpu: () => Promise<WebGpuDevice>;
  readonly openWasm: () => Promise<Device>;
  /** Milliseconds. */
  readonly clock: () => number;
}): Promise<Choice> {
  let gpu: WebGpuDevice;
  try {
    gpu = await openGpu();
  } catch (error) {
    return { device: 'wasm', why: (error as Error).message };
  }
  try {
    const name = gpu.adapterName;
    if (gpu.isSoftware) return { device: 'wasm', why: `${name} is a software adapter` };
    await gpu.prepare?.([]); // compares kernels with the reference
    const gpuRate = await readingRate(gpu, clock);
    const wasm = await openWasm();
    const wasmRate = await readingRate(wasm, clock).finally(() => wasm.close());
    const device = gpuRate >= WORTH_IT * wasmRate ? 'webgpu' : 'wasm';
    const giga = (rate: number) => `${(rate / 1e9).toFixed(1)} GB/s`;
    return { device, why: `${name} reads weights at ${giga(gpuRate)}, wasm at ${giga(wasmRate)}` };
  } catch (error) {
    return { device: 'wasm', why: (error as Error).message };
  } finally {
    gpu.close();
  }
}

/** Bytes of weights a second that go through products with one row, as while text is generated. */
async function readingRate(device: Device, clock: () => number): Promise<number> {
  const bytesOfRow = (COLUMNS / 32) * 34;
  const shape = [ROWS, COLUMNS];
  const readRows = (target: Uint8Array, _: number, count: number) => {
    // Blocks of Q8_0: a scale of 2⁻⁶ in f16, and 32 numbers.
    for (let at = 0; at < count * bytesOfRow; at += 34) {
      target[at] = 0;
      target[at + 1] = 0x24;
      for (let i = 2; i < 34; i++) target[at + i] = (at + 7 * i) & 63;
    }
  };
  const source = { name: 'measurement', dtype: 'Q8_0', shape, readRows } as const;
  await device.prepare?.([[source, null]]);
  const w = device.placeWeight(source, null);
  const bytes = rowCount(w.shape) * bytesOfRow;
  const run = async () => {
    const mark = device.mark();
    const x = device.scratch([1, columnCount(w.shape)]);
    device.fill(x, 1);
    let y = device.ops.linear(x, w);
    for (let i = 1; i < PRODUCTS; i++) y = device.ops.linear(x, w);
    const reading = device.read(y, 0, 1);
    device.release(mark);
    await reading;
  };
  await run();
  const start = clock();
  let products = 0;
  do {
    await run();
    products += PRODUCTS;
  } while (clock() - start < MEASURED_MS);
  return (products * bytes) / ((clock() - start) / 1000);
}

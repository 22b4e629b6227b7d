import type { Device } from '../../../devices/device.ts';

/** Floating-point operations a second in large matrix products on this device: what a step's rate is compared with. */
export async function measurePeak(device: Device): Promise<number> {
  const small = await measureProducts(device, 128, 256);
  // A device that would take seconds for each of the large ones is known by the small ones.
  return 2 * 2048 * 1024 ** 2 > small ? small : Math.max(small, await measureProducts(device, 2048, 1024));
}

async function measureProducts(device: Device, rows: number, width: number): Promise<number> {
  const mark = device.mark();
  const [x, w] = [device.scratch([rows, width]), device.scratch([width, width])];
  for (const tensor of [x, w]) device.fill(tensor, 0.5);
  const begun = performance.now();
  let least = Number.POSITIVE_INFINITY;
  // The first products compile kernels and touch memory; beside other programs some are slow.
  for (let i = 0; i < 6 || performance.now() - begun < 250; i++) {
    const from = performance.now();
    const before = device.mark();
    const reading = device.read(device.ops.linear(x, w), 0, 1);
    device.release(before);
    await reading;
    least = Math.min(least, performance.now() - from);
  }
  device.release(mark);
  return (2 * rows * width ** 2) / (least / 1000);
}

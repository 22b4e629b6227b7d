/** A worker thread of the lab: one training after the other, each on a device of its own, of one thread where that is wasm. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Device, DeviceKind } from '../../../devices/device.ts';
import type { LabTraining } from '../../../lab/arm-model.ts';
import { type RunResult, trainOnce } from '../../../lab/train-once.ts';
import { createTrainingDevice } from '../training/device.ts';
import { labText, type SharedText } from './text.ts';

export interface WorkerData {
  readonly text: SharedText;
  readonly device: DeviceKind;
  readonly blas: boolean;
  /** One number that is 1 once the lab is to stop. */
  readonly stop: Int32Array;
}

export type WorkerAnswer =
  | { readonly ok: true; readonly result: RunResult | null; readonly device: string }
  | { readonly ok: false; readonly code: string | undefined; readonly message: string };

const { text, device: kind, blas, stop } = workerData as WorkerData;
const documents = labText(text);
const machine = { device: kind, threads: 1, blas, revectorize: true } as const;

parentPort!.on('message', async (training: LabTraining) => {
  parentPort!.postMessage(await run(training));
});

/** Node tells it from 23.9 on. */
function worked(): number | null {
  if (typeof process.threadCpuUsage !== 'function') return null;
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

async function run(training: LabTraining): Promise<WorkerAnswer> {
  let device: Device | null = null;
  try {
    ({ device } = await createTrainingDevice(machine, 'f32', () => {}));
    const result = await trainOnce(device, training, documents, {
      clock: () => performance.now(),
      worked,
      isStopped: () => Atomics.load(stop, 0) === 1,
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
    });
    return { ok: true, result, device: device.description };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { ok: false, code, message };
  } finally {
    device?.close();
  }
}

import type { Device } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import type { LoadSettings } from '../../inference/remote/protocol.ts';

/** The device that a model is to run on. */
export async function createDevice({ device }: LoadSettings): Promise<Device> {
  if (device === 'reference') return createReferenceDevice();
  return createReferenceDevice();
}

/** The devices that every golden case and every law is checked on. */
import type { Device } from '../../src/devices/device.ts';
import { createReferenceDevice } from '../../src/devices/reference/device.ts';

export const testDevices: readonly { readonly name: string; readonly create: () => Device | Promise<Device> }[] = [
  { name: 'reference', create: createReferenceDevice },
];

/** The worker that trains in a browser: a SessionHost with this page's network, memory and threads. */
import type { Device } from '../../devices/device.ts';
import { SessionHost, type ToSession } from '../../finetuning/session/remote.ts';
import type { LoadSettings } from '../../inference/remote/protocol.ts';
import { trainingSelfTest } from '../../training/self-test.ts';
import { createDevice } from './devices.ts';
import { openSource } from './sources.ts';

const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(kind: 'message', handler: (event: MessageEvent<ToSession>) => void): void;
};

async function openDevice(settings: LoadSettings): Promise<Device> {
  const device = await createDevice(settings);
  try {
    await device.prepare?.([]);
    // Software adapters take seconds for a kernel, and the tests compare all of them there.
    if ('isSoftware' in device && device.isSoftware === false) await trainingSelfTest(device);
    return device;
  } catch (error) {
    device.close();
    throw error;
  }
}

const host = new SessionHost({
  post: (message, transfer) => scope.postMessage(message, transfer),
  openSource,
  openDevice,
});
scope.addEventListener('message', ({ data }) => host.receive(data));

/** The worker that runs a model in a browser: an EngineHost with this page's network, memory and threads. */
import { EngineHost } from '../../inference/remote/host.ts';
import type { ToEngine } from '../../inference/remote/protocol.ts';
import { createDevice } from './devices.ts';
import { openAdapterSource, openSource } from './sources.ts';

const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(kind: 'message', handler: (event: MessageEvent<ToEngine>) => void): void;
  reportError(error: unknown): void;
};

// setTimeout would wait for milliseconds; a message to oneself does not.
const channel = new MessageChannel();
let resume: () => void = () => {};
channel.port1.onmessage = () => resume();

const host = new EngineHost({
  post: (message, transfer) => scope.postMessage(message, transfer),
  openSource,
  openAdapter: openAdapterSource,
  createDevice,
  breathe: () =>
    new Promise((resolve) => {
      resume = resolve;
      channel.port2.postMessage(null);
    }),
  clock: () => performance.now(),
  now: () => new Date(),
  drawSeed: () => crypto.getRandomValues(new Uint32Array(1))[0]!,
});
scope.addEventListener('message', ({ data }) => void host.receive(data).catch((error) => scope.reportError(error)));

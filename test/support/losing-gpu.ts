/** An engine on a real GPU that is taken away in mid-answer, and what is heard of it: for Node and for pages. */
import { createWebGpuDevice } from '../../src/devices/webgpu/device.ts';
import { EngineHost, type EngineWorld } from '../../src/inference/remote/host.ts';
import { loadSettings } from '../../src/inference/remote/load.ts';
import type { FromEngine, Methods, Source, ToEngine } from '../../src/inference/remote/protocol.ts';

export interface Heard {
  /** Ids of each answer that came to its end; the words of the error of each that did not. */
  readonly answers: readonly (string | readonly number[])[];
  /** Pieces that were heard before the device went. */
  readonly pieces: number;
}

/** Answers three times: whole; with the device taken away in mid-answer; without it. Then the model is loaded again, and answers once more. */
export async function loseInMidAnswer(
  gpu: GPU,
  source: Source,
  { openSource, openAdapter }: Pick<EngineWorld, 'openSource' | 'openAdapter'>,
): Promise<Heard> {
  let device: GPUDevice | null = null;
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = (await gpu.requestAdapter(options))!;
    const { features, limits, info } = adapter;
    const requestDevice: GPUAdapter['requestDevice'] = async (wanted) => (device = await adapter.requestDevice(wanted));
    return { features, limits, info, requestDevice } as unknown as GPUAdapter;
  };
  const watched = { wgslLanguageFeatures: gpu.wgslLanguageFeatures, requestAdapter } as unknown as GPU;
  let heard: (message: FromEngine) => void = () => {};
  const host = new EngineHost({
    post: (message) => heard(message),
    openSource,
    openAdapter,
    createDevice: () => createWebGpuDevice({ gpu: watched }),
    breathe: () => new Promise((resolve) => setTimeout(resolve)),
    clock: () => performance.now(),
    now: () => new Date(0),
    drawSeed: () => 1,
  });
  let calls = 0;
  let pieces = 0;
  const call = async <Name extends keyof Methods>(
    method: Name,
    args: Methods[Name]['args'],
    onPieces: () => void = () => {},
  ): Promise<Methods[Name]['value']> => {
    const answer = new Promise<Methods[Name]['value']>((resolve, reject) => {
      heard = (message) => {
        if (message.kind === 'value') resolve(message.value as Methods[Name]['value']);
        else if (message.kind === 'error') reject(new Error(message.error.message));
        else onPieces();
      };
    });
    await host.receive({ kind: 'call', call: ++calls, method, args, aborted: false } as ToEngine);
    return answer;
  };
  const answers: (string | readonly number[])[] = [];
  const answer = async (onPieces?: () => void) => {
    const options = { temperature: 0, maxTokens: 12 };
    await call('generate', [Uint32Array.of(1, 5, 9), options, null, null], onPieces).then(
      ({ ids }) => answers.push([...ids]),
      (error: Error) => answers.push(error.message),
    );
  };
  const settings = loadSettings({ device: 'webgpu' });
  await call('load', [source, settings]);
  await answer();
  await answer(() => {
    if (++pieces === 4) device!.destroy();
  });
  await answer();
  await call('close', []);
  await call('load', [source, settings]);
  await answer();
  await call('close', []);
  return { answers, pieces };
}

/** Throws where it is not what people are to meet. */
export function checkHeard({ answers, pieces }: Heard): void {
  const [whole, cut, after, again] = answers;
  const problems: string[] = [];
  if (!Array.isArray(whole)) problems.push(`the first answer: ${String(whole)}`);
  if (JSON.stringify(again) !== JSON.stringify(whole)) problems.push(`the answer of the model loaded again: ${again}`);
  const words = /^webgpu: the device was lost \(.+\), expected .+ to go on\. Load the model again; .* device "wasm"\.$/;
  for (const answer of [cut, after])
    if (typeof answer !== 'string' || !words.test(answer)) problems.push(`without its device: ${String(answer)}`);
  if (cut !== after) problems.push(`two errors for one loss: ${String(after)}`);
  if (pieces < 4) problems.push(`it went after ${pieces} pieces`);
  if (problems.length > 0) throw new Error(problems.join('; '));
}

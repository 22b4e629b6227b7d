/** 256-bit training kernels: compiled and compared with the 128-bit ones as those of inference are (../wide-kernels.ts). */
import { setFlagsFromString } from 'node:v8';
import { type CompiledKernels, compileKernels } from '../../../devices/wasm/modules.ts';
import { differing } from '../../../devices/wasm/self-test.ts';
import { createWasmTrainingDevice, type WasmTrainingOptions } from '../../../devices/wasm/training.ts';
import { trainingResults } from '../../../devices/wasm/training-self-test.ts';
import { canJoinPairs, joinPairs, optimizingAtOnce } from '../wide-kernels.ts';

/** What createWasmTrainingDevice is to be given for this machine. */
export async function trainingKernels(
  threads: number,
  revectorize: boolean,
): Promise<Pick<WasmTrainingOptions, 'kernels' | 'wideVectors'>> {
  const shared = threads > 1;
  if (!revectorize || canJoinPairs() !== null) return { kernels: await compileKernels({ shared }), wideVectors: false };
  return optimizingAtOnce(async () => {
    const expected = await run(await compileKernels({ shared, isApart: true }), false);
    joinPairs();
    const kernels = await compileKernels({ shared });
    const wrong = differing(expected, await run(kernels, true));
    if (wrong.length === 0) return { kernels, wideVectors: true };
    process.emitWarning(
      `256-bit training kernels differ from the 128-bit ones in ${wrong.join(', ')}; the 128-bit ones run`,
    );
    setFlagsFromString('--no-experimental-wasm-revectorize');
    return { kernels: await compileKernels({ shared, isApart: true }), wideVectors: false };
  });
}

/** The second run's results: by then every kernel has been optimized. */
async function run(kernels: CompiledKernels, wideVectors: boolean) {
  const device = await createWasmTrainingDevice({ kernels, wideVectors });
  trainingResults(device);
  return trainingResults(device);
}

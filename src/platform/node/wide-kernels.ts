/**
 * 256-bit kernels. V8 can join two neighbouring 128-bit operations into one 256-bit one (its "revectorizer"), and our kernels are
 * written in such pairs: about twice the speed. The switch is experimental and process-wide, so
 *
 *   - it is on only while our own kernels compile: every kernel runs once, with the optimizing compiler at once;
 *   - every kernel's results are compared, bit for bit, with those of kernels compiled before. One difference, and the 128-bit kernels run.
 *     What has passed on this machine is remembered (remembered.ts), and only compiled the next time;
 *   - it is used only in the V8 versions in which it has been tried, as a kernel that it cannot digest ends the process.
 */
import { isUtf8 } from 'node:buffer';
import { setFlagsFromString } from 'node:v8';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { type CompiledKernels, compileBinaries, compileKernels, kernelBinaries } from '../../devices/wasm/modules.ts';
import { differing, kernelResults } from '../../devices/wasm/self-test.ts';
import { trainingResults } from '../../devices/wasm/training-self-test.ts';
import type { Blas } from '../../kernels/gemm/blas.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { describeMachine } from './machine.ts';
import { Verdicts } from './remembered.ts';

/** V8 (major.minor) of the Node versions whose revectorizer has been tried on these kernels: the pinned one. */
const TRIED_V8 = ['14.6'];

export interface WideKernels {
  /** For createWasmDevice. */
  readonly kernels: CompiledKernels;
  /** For createWasmDevice: the kernels that train are joined too. */
  readonly wideVectors: boolean;
  /** What runs and, if it is not 256 bits, why. */
  readonly note: string;
  /** For createWasmDevice. */
  readonly leave?: () => void;
}

/** Compiles the kernels for this machine; those that only training calls are joined where `training` says that they are needed. */
export async function compileForThisMachine(options: {
  readonly threads: number;
  readonly revectorize: boolean;
  readonly blas: Blas | null;
  readonly training: boolean;
  readonly verdicts?: Verdicts;
}): Promise<WideKernels> {
  const shared = options.threads > 1;
  const { blas, training, verdicts = new Verdicts() } = options;
  const narrow = async (why: string): Promise<WideKernels> => ({
    kernels: await compileKernels({ shared }),
    wideVectors: false,
    note: `128-bit (${why})`,
  });
  if (!options.revectorize) return narrow('--no-revectorize');
  const obstacle = canJoinPairs();
  if (obstacle !== null) return narrow(obstacle);

  const binaries = kernelBinaries({ shared });
  const key = verdicts.keyOf('joined', `${training} ${blas?.description}`, binaries.kernels);
  const isKnown = verdicts.hasPassed(key);
  return optimizingAtOnce(async () => {
    const expected = isKnown ? null : await run(await compileKernels({ shared, isApart: true }), false, blas, training);
    joinPairs();
    const kernels = await compileBinaries(binaries);
    const results = await run(kernels, true, blas, training, expected === null ? 1 : 2); // compiles them, in any case
    const wrong = expected === null ? [] : differing(expected, results);
    if (wrong.length === 0) {
      if (!isKnown) verdicts.pass(key);
      return { kernels, wideVectors: training, note: '256-bit', leave: clearUpperHalves };
    }
    process.emitWarning(`256-bit kernels differ from the 128-bit ones in ${wrong.join(', ')}; the 128-bit ones run`);
    setFlagsFromString('--no-experimental-wasm-revectorize');
    return {
      kernels: await compileKernels({ shared, isApart: true }),
      wideVectors: false,
      note: '128-bit (256-bit kernels failed the self-test)',
    };
  });
}

const someText = new Uint8Array(256).fill(0x61);

/**
 * V8 leaves the upper halves of the 256-bit registers as its code left them. Until somebody clears them, every SSE instruction of
 * Node's own C++, Math.exp's for one, waits for them: an exp then takes 450 ns instead of 11 (Xeon, model 207), which was a fifth of a
 * batched decode step. Only VZEROUPPER clears them, JavaScript cannot say it, and Node's UTF-8 check ends with it where it uses AVX.
 * To be deleted when V8 ends revectorized functions with VZEROUPPER.
 */
function clearUpperHalves(): void {
  isUtf8(someText);
}

/** null; or why pairs are not joined here. */
export function canJoinPairs(): string | null {
  if (!describeMachine().revectorizer) return 'this processor or V8 cannot join pairs';
  const version = process.versions.v8.split('.').slice(0, 2).join('.');
  return TRIED_V8.includes(version) ? null : `joining pairs has not been tried in V8 ${version}`;
}

/** What runs meanwhile is compiled by the optimizing compiler at its first call; pairs are joined from joinPairs() on. */
export async function optimizingAtOnce<T>(work: () => Promise<T>): Promise<T> {
  setFlagsFromString('--wasm-tiering-budget=1');
  setFlagsFromString('--wasm-sync-tier-up');
  try {
    return await work();
  } finally {
    setFlagsFromString('--no-experimental-wasm-revectorize');
    setFlagsFromString('--no-wasm-sync-tier-up');
    setFlagsFromString(`--wasm-tiering-budget=${DEFAULT_BUDGET}`);
  }
}

/** Ends with optimizingAtOnce. */
export function joinPairs(): void {
  setFlagsFromString('--experimental-wasm-revectorize');
}

/** V8's own default, which cannot be asked for. */
const DEFAULT_BUDGET = 13_000_000;

/** The last run's results: by the second one every kernel has been optimized. */
async function run(
  kernels: CompiledKernels,
  wideVectors: boolean,
  blas: Blas | null,
  training: boolean,
  times = 2,
): Promise<Map<string, Floats>> {
  const device = await createWasmDevice({ kernels, activations: 'int8', blas, blasRows: () => 7 });
  const rows = blas ? [1, 6, 7] : [1, 6];
  const trained = training ? await createWasmDevice({ kernels, wideVectors }) : null;
  const results = async () =>
    new Map([...(await kernelResults(device, { rows })), ...(trained ? await trainingResults(trained) : [])]);
  for (let i = 1; i < times; i++) await results();
  return results();
}

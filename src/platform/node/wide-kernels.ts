/**
 * 256-bit kernels. V8 can join two neighbouring 128-bit operations into one 256-bit one (its "revectorizer"), and our kernels are
 * written in such pairs: about twice the speed. The switch is experimental and process-wide, so
 *
 *   - it is on only while one of our own kernels compiles;
 *   - every kernel's results are compared, bit for bit, with those of kernels compiled without it. One difference, and the 128-bit kernels
 *     run. What has passed on this machine is remembered (remembered.ts), and only compiled the next time;
 *   - it is used only in the V8 versions in which it has been tried, as a kernel that it cannot digest ends the process.
 */
import { isUtf8 } from 'node:buffer';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import { createLoneWasmDevice } from '../../devices/wasm/device.ts';
import { type KernelLibrary, kernelLibrary, onceForEach, targetOf } from '../../devices/wasm/library.ts';
import { computeByKernels, differing, type Results, resultsNow } from '../../devices/wasm/self-test.ts';
import { computeByTrainingKernels } from '../../devices/wasm/training-self-test.ts';
import type { Blas } from '../../kernels/gemm/blas.ts';
import { taskNumber, writeModule } from '../../kernels/kernels.ts';
import { rmsNorm } from '../../kernels/rms-norm/kernel.ts';
import { joined } from '../../kernels/writer/instructions.ts';
import { MEMORY } from '../../kernels/writer/module.ts';
import { describeMachine } from './machine.ts';
import { Verdicts } from './remembered.ts';
import { warn } from './warnings.ts';

/** V8 (major.minor) of the Node versions whose revectorizer has been tried on these kernels: the pinned one. */
const TRIED_V8 = ['14.6'];

export interface WideKernels {
  /** For createWasmDevice. */
  readonly kernels: KernelLibrary;
  /** For createWasmDevice: the kernels that train are joined too. */
  readonly wideVectors: boolean;
  /** What runs and, if it is not 256 bits, why. */
  readonly note: string;
  /** For createWasmDevice. */
  readonly leave?: () => void;
}

interface WideOptions {
  readonly threads: number;
  readonly revectorize: boolean;
  readonly blas: Blas | null;
  /** Those that only training calls are joined too. */
  readonly training: boolean;
  readonly verdicts?: Verdicts;
}

/** The kernels for this machine. */
export function kernelsForThisMachine(options: WideOptions): WideKernels {
  const narrow = kernelLibrary({ shared: options.threads > 1 });
  const obstacle = options.revectorize ? canJoinPairs() : '--no-revectorize';
  if (obstacle !== null) return { kernels: narrow, wideVectors: false, note: `128-bit (${obstacle})` };
  const wide = new WideLibrary(narrow, options);
  wide.module(taskNumber(rmsNorm)); // where nothing has been tried, everything is now, so that the note is true
  if (wide.hasFailed) {
    return { kernels: narrow, wideVectors: false, note: '128-bit (256-bit kernels failed the self-test)' };
  }
  return { kernels: wide, wideVectors: options.training, note: '256-bit', leave: clearUpperHalves };
}

/** The kernels of another library, joined if they have passed the self-test; what that does not try stays as it is. */
class WideLibrary implements KernelLibrary {
  readonly simd;
  readonly shared;
  readonly team;
  hasFailed = false;
  private readonly narrow: KernelLibrary;
  private readonly options: WideOptions;
  private readonly verdicts: Verdicts;
  private hasTried = false;

  constructor(narrow: KernelLibrary, options: WideOptions) {
    this.narrow = narrow;
    this.options = options;
    this.verdicts = options.verdicts ?? new Verdicts();
    ({ simd: this.simd, shared: this.shared, team: this.team } = narrow);
  }

  bytes(task: number): Uint8Array<ArrayBuffer> {
    return this.isJoined(task) ? this.joinedBytes(task) : this.narrow.bytes(task);
  }
  module(task: number): WebAssembly.Module {
    return this.isJoined(task) ? this.joinedModule(task) : this.narrow.module(task);
  }

  /** Marked, as engines share code among modules of the same bytes. */
  private readonly joinedBytes = onceForEach((task) => marked(writeModule(task, targetOf(this.shared, this.simd))));
  private readonly joinedModule = onceForEach((task) =>
    optimized(this.joinedBytes(task), { joinsPairs: true, shared: this.shared }),
  );

  private readonly isJoined = onceForEach((task): boolean => {
    const { verdicts } = this;
    const bytes = this.joinedBytes(task);
    const key = verdicts.keyOf('joined', bytes);
    const untriedKey = verdicts.keyOf('not tried', `${this.options.training} ${this.options.blas !== null}`, bytes);
    if (!verdicts.hasPassed(key) && !verdicts.hasPassed(untriedKey)) {
      if (!this.hasTried) this.tryAll();
      if (!this.hasFailed && !verdicts.hasPassed(key)) verdicts.pass(untriedKey);
    }
    return !this.hasFailed && verdicts.hasPassed(key);
  });

  /** Compares what kernels compute, and remembers those that took part. */
  private tryAll(): void {
    this.hasTried = true;
    const tried = new Set<number>();
    const { simd, shared, team } = this;
    const module = (task: number) => {
      tried.add(task);
      return this.joinedModule(task);
    };
    const expected = results(this.narrow, false, this.options);
    const found = results({ simd, shared, team, bytes: this.joinedBytes, module }, true, this.options);
    const wrong = differing(expected, found);
    this.hasFailed = wrong.length > 0;
    if (this.hasFailed) {
      warn(`256-bit kernels differ from the 128-bit ones in ${wrong.join(', ')}; the 128-bit ones run`);
    } else this.verdicts.pass(...[...tried].map((task) => this.verdicts.keyOf('joined', this.joinedBytes(task))));
  }
}

function results(kernels: KernelLibrary, wideVectors: boolean, { blas, training }: WideOptions): Results {
  const device = createLoneWasmDevice({ kernels, activations: 'int8', blas, blasRows: () => 7 });
  const trained = training ? createLoneWasmDevice({ kernels, wideVectors }) : null;
  return resultsNow((keep) => {
    computeByKernels(device, keep, { rows: blas ? [1, 6, 7] : [1, 6] });
    if (trained) computeByTrainingKernels(trained, keep);
  });
}

/** With an empty section at the end, of a name of one letter. */
function marked(module: Uint8Array): Uint8Array<ArrayBuffer> {
  return joined(module, [0, 2, 1, 0x63]);
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
function canJoinPairs(): string | null {
  if (!describeMachine().revectorizer) return 'this processor or V8 cannot join pairs';
  const version = process.versions.v8.split('.').slice(0, 2).join('.');
  return TRIED_V8.includes(version) ? null : `joining pairs has not been tried in V8 ${version}`;
}

const TIER_UP = '(function (functions) { for (const one of functions) %WasmTierUpFunction(one); })';
/** Other threads take the flag back now and then, never so often. */
const MOST_TRIES = 1000;

/**
 * Lets V8's optimizing compiler compile exported functions, at once, by a function of V8's own whose name is read while a flag allows it. V8 forgets
 * the code of functions that have not been called for some time, and reads their text again at the next call: so it is read and called
 * under the same flag, which is the whole process's.
 */
function tierUp(functions: readonly unknown[]): void {
  for (let tries = 1; ; tries++) {
    try {
      setFlagsFromString('--allow-natives-syntax');
      (runInThisContext(TIER_UP) as (functions: readonly unknown[]) => void)(functions);
      return;
    } catch (error) {
      if (!(error instanceof SyntaxError) || tries >= MOST_TRIES) throw error;
    } finally {
      setFlagsFromString('--no-allow-natives-syntax');
    }
  }
}

/** To compile in; by whether threads can share it. */
const memoryOf = onceForEach(
  (shared) => new WebAssembly.Memory({ initial: MEMORY.initial, maximum: MEMORY.maximum, shared: shared === 1 }),
);

/**
 * The module, whose functions the optimizing compiler has compiled. Flags of V8 are of the whole process: other threads may compile and
 * instantiate what they like meanwhile, so only such are set as spoil nothing of theirs.
 */
export function optimized(
  bytes: Uint8Array<ArrayBuffer>,
  { joinsPairs, shared }: { readonly joinsPairs: boolean; readonly shared: boolean },
): WebAssembly.Module {
  const module = new WebAssembly.Module(bytes);
  const env: Record<string, WebAssembly.ImportValue> = {};
  for (const { name, kind } of WebAssembly.Module.imports(module)) {
    env[name] = kind === 'memory' ? memoryOf(Number(shared)) : () => 0;
  }
  const { exports } = new WebAssembly.Instance(module, { env });
  try {
    if (joinsPairs) setFlagsFromString('--experimental-wasm-revectorize');
    tierUp(Object.values(exports));
  } finally {
    setFlagsFromString('--no-experimental-wasm-revectorize');
  }
  return module;
}

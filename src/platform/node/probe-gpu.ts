/** Looks for a GPU in a process of its own: a driver that crashes, hangs or talks does so there. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Choice } from '../../devices/choose.ts';
import type { Products } from '../../devices/webgpu/adapter.ts';
import { builtPath } from './package-folder.ts';

export interface Probed {
  /** null: there is none, for the reason in `problem`. */
  readonly adapterName: string | null;
  readonly isSoftware: boolean;
  /** What it offers of what not every adapter has, by WebGPU's names. */
  readonly features: readonly string[];
  /** How it computes products of many rows with quantized weights, and why so. */
  readonly products: Products | null;
  readonly problem: string | null;
  /** What drivers said on stderr. */
  readonly words: string;
  /** Where it was asked for and a GPU was looked at. */
  readonly choice: Choice | null;
}

const PATIENCE_MS = 30_000;
const none = { adapterName: null, isSoftware: false, features: [], products: null, words: '', choice: null };

/** Never rejects. `choose`: also measures on which device models are to run. */
export function probeGpu(env: NodeJS.ProcessEnv, task: 'look' | 'choose' = 'look'): Promise<Probed> {
  const program = builtPath(`platform/node/gpu-probe${extname(fileURLToPath(import.meta.url))}`);
  if (!existsSync(program)) {
    const problem =
      'webgpu: the program that looks for a GPU is not in this bundle. Use device "webgpu" or "wasm" by name.';
    return Promise.resolve({ ...none, problem });
  }
  // Within Electron, the program that runs us is a browser unless it is told.
  const options = { env: { ...env, ELECTRON_RUN_AS_NODE: '1' }, timeout: PATIENCE_MS };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, task], options, (error, stdout, stderr) => {
      const words = stderr.trim();
      try {
        resolve({ ...(JSON.parse(stdout) as Probed), words });
      } catch {
        const end = error?.killed
          ? `did not answer for ${PATIENCE_MS / 1000} s`
          : `ended with ${error?.signal ?? error?.code}`;
        const problem = `webgpu: the process that looked for a GPU ${end}, expected an adapter or none. Update the GPU's driver, or use device "wasm".`;
        resolve({ ...none, problem, words });
      }
    });
  });
}

/** Looks for a GPU in a process of its own: a driver that crashes, hangs or talks does so there. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ProbedGpu {
  /** null: there is none, for the reason in `problem`. */
  readonly adapterName: string | null;
  readonly isSoftware: boolean;
  /** What the kernels could use of what not every adapter has. */
  readonly features: readonly string[];
  readonly problem: string | null;
}

const PATIENCE_MS = 30_000;

/** `words`: what drivers said on stderr. */
export function probeGpu(env: NodeJS.ProcessEnv): Promise<ProbedGpu & { readonly words: string }> {
  const program = fileURLToPath(new URL('./gpu-probe.ts', import.meta.url));
  const none = { adapterName: null, isSoftware: false, features: [] };
  return new Promise((resolve) => {
    execFile(process.execPath, [program], { env, timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      const words = stderr.trim();
      try {
        resolve({ ...(JSON.parse(stdout) as ProbedGpu), words });
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

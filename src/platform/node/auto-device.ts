/** What `auto` means on this machine: measured once, and remembered in a small file until something about the machine changes. */
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, hostname } from 'node:os';
import type { Choice } from '../../devices/choose.ts';
import { packagePath } from './package-folder.ts';
import { probeGpu } from './probe-gpu.ts';
import { type Environment, recall, remember, rememberedFile } from './remembered.ts';

/** Where the choice is remembered. */
export function choiceFile(env: Environment): string {
  return rememberedFile(env, 'device.json');
}

let chosen: Promise<Choice> | undefined;

/** Measures at most once in a process. Never rejects. */
export function autoDevice(): Promise<Choice> {
  chosen ??= choose(process.env);
  return chosen;
}

/** What was chosen does not open any more: the next process measures again. */
export function forgetChoice(env: Environment = process.env): void {
  chosen = undefined;
  rmSync(choiceFile(env), { force: true });
}

/** For tests by itself: `probe` looks for a GPU. */
export async function choose(env: Environment, probe: typeof probeGpu = probeGpu): Promise<Choice> {
  const webgpu = versionOfWebGpu();
  if (webgpu === null) return { device: 'wasm', why: 'the optional package webgpu is not installed' };
  const file = choiceFile(env);
  // What may change which GPU is found, or how fast anything is.
  const machine = [process.version, webgpu, hostname(), cpus()[0]?.model, env.VK_DRIVER_FILES, env.LD_LIBRARY_PATH];
  const key = JSON.stringify(machine.map((fact) => fact ?? ''));
  const known = remembered(file, key);
  if (known) return known;
  const { choice, problem } = await probe(env as NodeJS.ProcessEnv, 'choose');
  const made = choice ?? { device: 'wasm', why: problem ?? 'no GPU was found' };
  remember(file, { key, ...made });
  return made;
}

function versionOfWebGpu(): string | null {
  try {
    const require = createRequire(packagePath('package.json'));
    return (require('webgpu/package.json') as { version: string }).version;
  } catch {
    return null;
  }
}

function remembered(file: string, key: string): Choice | null {
  const { key: found, device, why } = (recall(file) ?? {}) as { key?: unknown } & Partial<Choice>;
  const isChoice = (device === 'wasm' || device === 'webgpu') && typeof why === 'string';
  return found === key && isChoice ? { device, why } : null;
}

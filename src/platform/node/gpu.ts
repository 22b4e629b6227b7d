/** WebGPU in Node: the package `webgpu` (Dawn), which is optional. */
import { UnsupportedError } from '../../base/errors.ts';

/** Work that drivers do for kernels that count on workgroup memory being zero; ours do not. */
const switches = ['enable-dawn-features=disable_workgroup_init'];

let made: GPU | undefined;

/**
 * One for the whole process: once what `create` returned is garbage, devices made through it crash.
 * Throws UnsupportedError `webgpu.package`.
 */
export async function createGpu(): Promise<GPU> {
  if (made) return made;
  let webgpu: typeof import('webgpu');
  try {
    webgpu = await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ 'webgpu');
  } catch (error) {
    throw new UnsupportedError(
      'webgpu.package',
      'webgpu: Node needs the optional package webgpu for it, which is not installed here. Run npm install webgpu, or use device "wasm".',
      { cause: error },
    );
  }
  made = webgpu.create(switches);
  return made;
}

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
  // By a name that is not looked up when types are checked: the package need not be installed.
  const name: string = 'webgpu';
  let webgpu: { create(switches: readonly string[]): GPU };
  try {
    webgpu = await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ name);
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

// `npm run kernels -- --print NAME`: the CPU kernels whose name has NAME in it, as they are written for this machine.
import { hasExactDot, hasRelaxedSimd } from '../src/devices/wasm/dot-probe.ts';
import { printKernels } from '../src/kernels/kernels.ts';

const [option, name] = process.argv.slice(2);
if (option !== '--print' || !name) {
  console.error('npm run kernels: kernels are written when a device is made, so there is nothing to build.');
  console.error('To see one: npm run kernels -- --print rmsNorm');
  process.exit(2);
}
const texts = printKernels(name, { isRelaxed: hasRelaxedSimd(), hasDot: hasExactDot(), isShared: false });
if (texts.length === 0) throw new Error(`npm run kernels: no kernel has ${JSON.stringify(name)} in its name`);
console.log(texts.join('\n\n'));

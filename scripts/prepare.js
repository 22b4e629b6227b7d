// Runs after `npm ci` in a clone: puts the `cria` command where npx looks for it, and builds the CPU kernels.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { buildKernels } from './build-kernels.js';

mkdirSync('node_modules/.bin', { recursive: true });
if (process.platform === 'win32') {
  writeFileSync('node_modules/.bin/cria.cmd', '@node "%~dp0..\\..\\bin\\cria.js" %*\r\n');
} else {
  rmSync('node_modules/.bin/cria', { force: true });
  symlinkSync('../../bin/cria.js', 'node_modules/.bin/cria');
}
await buildKernels();

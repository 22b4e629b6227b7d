// Runs after `npm ci` in a clone: puts the `cria` command where npx looks for it, leads `import 'cria'` to the sources, and builds the
// CPU kernels and the chat page.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { writeStubs } from './build.js';
import { buildKernels } from './build-kernels.js';
import { buildWeb } from './build-web.js';

mkdirSync('node_modules/.bin', { recursive: true });
if (process.platform === 'win32') {
  writeFileSync('node_modules/.bin/cria.cmd', '@node "%~dp0..\\..\\bin\\cria.js" %*\r\n');
} else {
  rmSync('node_modules/.bin/cria', { force: true });
  symlinkSync('../../bin/cria.js', 'node_modules/.bin/cria');
}
writeStubs();
await buildKernels();
await buildWeb();

// Runs after `npm ci` in a clone: puts the `cria` command where npx looks for it, leads `import 'cria'` to the sources, and builds the
// pages.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { writeStubs } from './build.js';
import { buildWeb } from './build-web.js';

const isWindows = process.platform === 'win32';
mkdirSync('node_modules/.bin', { recursive: true });
if (isWindows) {
  writeFileSync('node_modules/.bin/cria.cmd', '@node "%~dp0..\\..\\bin\\cria.js" %*\r\n');
} else {
  rmSync('node_modules/.bin/cria', { force: true });
  symlinkSync('../../bin/cria.js', 'node_modules/.bin/cria');
}
// An npm that ignores the scripts of packages has not fetched the Node that a clone runs.
if (!existsSync(`node_modules/node/bin/node${isWindows ? '.exe' : ''}`)) {
  spawnSync('npm', ['rebuild', 'node'], { stdio: 'inherit', shell: isWindows });
}
writeStubs();
await buildWeb();

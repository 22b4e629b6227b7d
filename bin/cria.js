#!/usr/bin/env node
// Starts the command line. The sources are TypeScript that Node ≥ 22.18 runs as they are; a clone pins its own
// Node (the npm package `node`), so an older one only has to hand over. A published package carries dist/.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const built = at('dist/platform/node/main.js');

if (major > 22 || (major === 22 && minor >= 18)) {
  // What was stripped and compiled once starts three times faster the next time; in worker threads too.
  const { directory } = module.enableCompileCache?.() ?? {};
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory;
  const { main } = await import(existsSync(built) ? built : at('src/platform/node/main.ts'));
  await main(process.argv.slice(2));
} else {
  const pinned = at('node_modules/node/bin/node');
  if (!existsSync(pinned)) {
    console.error(
      `cria: Node ${process.versions.node} is too old, 22.18 or newer is needed. Run "npm ci" here, which brings its own, or update Node.`,
    );
    process.exit(1);
  }
  process.on('SIGINT', () => {}); // Ctrl-C is the child's to answer
  const child = spawnSync(pinned, [at('bin/cria.js'), ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exit(child.status ?? 1);
}

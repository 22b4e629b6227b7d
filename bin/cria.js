#!/usr/bin/env node
// Starts the command line. The sources are TypeScript that Node ≥ 22.18 runs as they are; a clone pins its own
// Node (the npm package `node`), so an older one only has to hand over. A published package carries dist/.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { constants } from 'node:os';
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
  // Asynchronous, so that a signal to this process reaches the child, which would live on alone.
  const child = spawn(pinned, [at('bin/cria.js'), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT')); // a terminal's Ctrl-C has reached the child too
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

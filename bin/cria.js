#!/usr/bin/env node
// Starts the command line. An installed package runs dist/. A clone runs its sources, which are TypeScript that Node ≥ 22.18 takes as
// they are; it pins its own Node (the npm package `node`), so an older one only has to hand over.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const at = (path) => new URL(`../${path}`, import.meta.url);
const source = at('src/platform/node/main.ts');
const isClone = existsSync(source);
const needed = isClone ? [22, 18] : [20, 19];

if (major > needed[0] || (major === needed[0] && minor >= needed[1])) {
  // What was stripped and compiled once starts three times faster the next time; in worker threads too.
  const { directory } = module.enableCompileCache?.() ?? {};
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory;
  const { main } = await import(isClone ? source.href : at('dist/platform/node/main.js').href);
  await main(process.argv.slice(2));
} else {
  const pinned = fileURLToPath(at(`node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`));
  if (!existsSync(pinned)) {
    const advice = isClone ? 'Run "npm ci" here, which brings its own, or update Node.' : 'Update Node.';
    console.error(`cria: Node ${process.versions.node} is too old, ${needed.join('.')} or newer is needed. ${advice}`);
    process.exit(1);
  }
  // Asynchronous, so that a signal to this process reaches the child, which would live on alone.
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT')); // a terminal's Ctrl-C has reached the child too
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

// A worker of build-kernels.js: compiles one build of the kernels and posts its bytes.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { main } from 'assemblyscript/asc';

const { root, features, hasDot } = workerData;
let binary;
const flags = {
  '--noAssert': [],
  '--uncheckedBehavior': ['always'],
  '--runtime': ['stub'],
  '--importMemory': [],
  '--sharedMemory': [],
  '--initialMemory': ['2'],
  '--maximumMemory': ['65536'],
  '--memoryBase': ['65536'], // the first page is the control area (src/kernels/tasks.ts)
  '--disableWarning': ['201'],
  '--use': [`abort=,HAS_DOT=${hasDot}`],
  '--enable': [features],
  '--outFile': ['kernels.wasm'],
};
const { error, stderr } = await main(['src/kernels/kernels.assembly.ts', '-O2', ...Object.entries(flags).flat(2)], {
  readFile: (file, base) => {
    const path = join(base ?? root, file);
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  },
  writeFile: (file, bytes) => {
    if (file.endsWith('.wasm')) binary = bytes;
  },
  listFiles: () => [],
});
if (error || !binary) throw new Error(`the kernels do not compile with ${features}:\n${stderr.toString()}`);
parentPort.postMessage(binary);

// Loads every module of the package that is not the script of a worker or of a process, or a browser's: a name that this Node lacks is an error at once.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const dist = new URL('node_modules/cria/dist/', pathToFileURL(`${process.cwd()}/`));
let count = 0;
for (const name of readdirSync(dist, { recursive: true })) {
  if (!/(?<!worker|gpu-probe)\.js$/.test(name) || /browser|web|langchain|ai-sdk/.test(name)) continue;
  await import(new URL(name.replaceAll('\\', '/'), dist).href);
  count++;
}
const { exports } = JSON.parse(readFileSync(join('node_modules', 'cria', 'package.json'), 'utf8'));
console.log(JSON.stringify({ count, entries: Object.keys(exports) }));

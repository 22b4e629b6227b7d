// dist/platform/browser/standalone.js: the library for browsers as one file, which needs no bundler and no other file. Its workers are in
// it as texts, each started from a Blob: the engine's, and in that one the threads'.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../src/platform/browser/', import.meta.url));
const BANNER = '/*! Cria (MIT), with @huggingface/jinja (MIT, Hugging Face) */';

export async function buildStandalone(dist) {
  const output = join(dist, 'platform/browser/standalone.js');
  writeFileSync(output, `${BANNER}\n${await bundle('standalone')}`);
  rmSync(`${output}.map`);
}

/** One module with all that it imports, as text. The workers that it starts are bundled in the same way. */
async function bundle(entry) {
  const { build } = await import('vite');
  const scripts = new Map();
  const [{ output }] = await build({
    configFile: false,
    root: folder,
    logLevel: 'warn',
    build: {
      write: false,
      target: 'es2023',
      minify: true,
      lib: { entry: join(folder, `${entry}.ts`), formats: ['es'], fileName: entry },
      rolldownOptions: { output: { minify: true }, checks: { pluginTimings: false } }, // a library's white space is kept otherwise
    },
    plugins: [{ name: 'workers-as-texts', enforce: 'pre', transform: (code) => nameWorkers(code, scripts) }],
  });
  if (output.length !== 1) throw new Error(`build: ${entry} came out as ${output.length} files, expected one`);
  // Put in last, as JSON writes a text: explorer reads the engine's script out of this file.
  return output[0].code.replace(/(["'`])@@([\w-]+)@@\1/g, (_, __, name) => JSON.stringify(scripts.get(name)));
}

/** A worker's address becomes that of a Blob whose text is a mark, `@@name@@`, and `scripts` gets the text. */
async function nameWorkers(code, scripts) {
  const addresses = [...code.matchAll(/new URL\('\.\/([\w-]+)\.ts', import\.meta\.url\)/g)];
  for (const [address, name] of addresses) {
    scripts.set(name, await bundle(name));
    code = code.replace(address, () => `URL.createObjectURL(new Blob(['@@${name}@@'], { type: 'text/javascript' }))`);
  }
  return addresses.length > 0 ? code : null;
}

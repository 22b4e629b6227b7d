// Builds the pages into src/web/generated: the chat page, and the explorer with the library for models that are computed in the page.
// Each is skipped while its sources are unchanged.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { filesIn } from './files.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `sources`: folders that a page is made of, and `shared` files; `most`: KiB of its own script, which a change must not pass unseen. */
const pages = {
  chat: {
    entry: 'chat',
    sources: ['src/web/chat', 'src/platform/browser/chat'],
    shared: ['src/base/errors.ts', 'src/inference/option-table.ts', 'src/inference/sampler/options.ts'],
    most: 120,
  },
  explore: {
    entry: 'explorer',
    sources: [
      'base',
      'devices',
      'explorer',
      'formats',
      'inference',
      'kernels',
      'model',
      'platform',
      'quant',
      'tensor',
      'tokenizer',
      'web/explore',
    ].map((folder) => `src/${folder}`),
    most: 120,
  },
};

export async function buildWeb({ log = console.log } = {}) {
  for (const name of Object.keys(pages)) await buildPage(name, log);
}

async function buildPage(name, log) {
  const { entry, sources, shared = [], most } = pages[name];
  const output = join(root, 'src/web/generated', name);
  const files = sources.flatMap((folder) => filesIn(join(root, folder)).map((file) => `${folder}/${file}`));
  const digest = createHash('sha256');
  for (const file of [...files.filter((each) => !each.endsWith('.test.ts')), ...shared, 'scripts/build-web.js']) {
    digest.update(file).update(readFileSync(join(root, file)));
  }
  const stamp = digest.digest('hex').slice(0, 16);
  const stampFile = join(output, 'stamp.txt');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  const { build } = await import('vite');
  const started = performance.now();
  await build({
    configFile: false,
    root: join(root, 'src/web', name),
    base: './',
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    worker: { format: 'es', rolldownOptions: { output: { entryFileNames: '[name].js' } } },
    build: {
      outDir: output,
      emptyOutDir: true,
      target: 'es2023',
      assetsInlineLimit: 0,
      assetsDir: '',
      chunkSizeWarningLimit: 1000,
      modulePreload: false,
      rolldownOptions: {
        output: { entryFileNames: `${entry}.js`, chunkFileNames: '[name].js', assetFileNames: '[name][extname]' },
      },
    },
  });
  if (name === 'explore') writeFileSync(join(output, 'formulas.json'), JSON.stringify(formulas()));
  mkdirSync(output, { recursive: true });
  writeFileSync(stampFile, stamp);
  const kib = readFileSync(join(output, `${entry}.js`)).length / 1024;
  log(`${name} page built in ${((performance.now() - started) / 1000).toFixed(1)} s: ${kib.toFixed(0)} KiB`);
  if (kib > most)
    throw new Error(`build: the script of the ${name} page has ${kib.toFixed(0)} KiB, expected at most ${most}`);
}

/** What the references of the kernels say above each function: its first sentence and its formula, and where that stands. */
function formulas() {
  const found = {};
  for (const file of filesIn(join(root, 'src/kernels')).filter((each) => each.endsWith('reference.ts'))) {
    const text = readFileSync(join(root, 'src/kernels', file), 'utf8');
    for (const match of text.matchAll(/\/\*\*([\s\S]*?)\*\/\nexport function (\w+)/g)) {
      const lines = match[1].split('\n').map((line) => line.replace(/^ ?\* ?/, ''));
      const end = lines.findIndex((line) => /^(Shapes|Numbers|Cost|Source|Effects|Writes|Also|Throws)\b/.test(line));
      const formula = lines
        .slice(0, end < 0 ? undefined : end)
        .flatMap((line) => (/^ {2,}\S/.test(line) ? line.trim().split(/ {4,}/) : []));
      const summary = lines
        .join(' ')
        .trim()
        .split(/(?<=\.)\s/)[0];
      const line = text.slice(0, match.index).split('\n').length;
      found[match[2]] = {
        summary,
        formula: formula.length > 0 ? formula.join('\n') : summary,
        path: `src/kernels/${file}`,
        line,
      };
    }
  }
  return found;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await buildWeb();

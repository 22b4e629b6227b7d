// Builds the chat page (src/web/chat, started by src/platform/browser/chat) into src/web/generated/chat, which `cria serve` serves.
// Skipped while the sources are unchanged.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { filesIn } from './files.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const output = join(root, 'src/web/generated/chat');

export async function buildWeb({ log = console.log } = {}) {
  const folders = ['src/web/chat', 'src/platform/browser/chat'];
  const shared = ['src/base/errors.ts', 'src/inference/option-table.ts', 'src/inference/sampler/options.ts'];
  const sources = folders.flatMap((folder) => filesIn(join(root, folder)).map((file) => `${folder}/${file}`));
  const digest = createHash('sha256');
  for (const file of [...sources.filter((name) => !name.endsWith('.test.ts')), ...shared, 'scripts/build-web.js']) {
    digest.update(file).update(readFileSync(join(root, file)));
  }
  const stamp = digest.digest('hex').slice(0, 16);
  const stampFile = join(output, 'stamp.txt');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  const { build } = await import('vite');
  const started = performance.now();
  await build({
    configFile: false,
    root: join(root, 'src/web/chat'),
    base: './',
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: output,
      emptyOutDir: true,
      target: 'es2023',
      assetsInlineLimit: 0,
      assetsDir: '',
      modulePreload: false,
      rolldownOptions: {
        output: { entryFileNames: 'chat.js', chunkFileNames: '[name].js', assetFileNames: '[name][extname]' },
      },
    },
  });
  writeFileSync(stampFile, stamp);
  const bytes = readFileSync(join(output, 'chat.js')).length;
  log(`chat page built in ${((performance.now() - started) / 1000).toFixed(1)} s: ${(bytes / 1024).toFixed(0)} KiB`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await buildWeb();

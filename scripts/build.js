// `npm run build [FOLDER]`: makes dist/, the JavaScript that the published package runs; with a folder, everything that goes into the
// package, there. In a clone, dist/ holds one line per entry that leads to the sources (stubs), so that `import 'cria'` runs them.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildStandalone } from './build-standalone.js';
import { buildWeb } from './build-web.js';
import { filesIn } from './files.js';
import { linesOnly } from './source-maps.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Every file of dist/ that package.json names as an entry: './dist/platform/node/index.js' … */
function entries(value = manifest.exports) {
  if (typeof value === 'string') return value.endsWith('.js') ? [value] : [];
  return [...new Set(Object.values(value).flatMap(entries))];
}

/** Where a clone has no dist/: one that leads to the sources. */
export function writeStubs() {
  for (const entry of entries()) {
    const file = join(root, entry);
    if (existsSync(file)) continue;
    const source = posix.relative(posix.dirname(entry), entry.replace('dist/', 'src/').replace(/\.js$/, '.ts'));
    mkdirSync(dirname(file), { recursive: true });
    for (const path of [file, file.replace(/\.js$/, '.d.ts')]) writeFileSync(path, `export * from '${source}';\n`);
  }
}

export async function build(target = root) {
  await buildWeb();
  const dist = join(target, 'dist');
  rmSync(dist, { recursive: true, force: true });
  compile(dist);
  finishModules(dist);
  keepPublicTypes(target, dist);
  for (const map of filesIn(dist).filter((name) => name.endsWith('.js.map'))) {
    const source = `src/${map.replace(/js\.map$/, 'ts')}`;
    writeFileSync(join(dist, map), linesOnly(readFileSync(join(dist, map), 'utf8'), source));
  }
  await buildStandalone(dist);
  const pages = 'web/generated';
  cpSync(join(root, 'src', pages), join(dist, pages), {
    recursive: true,
    filter: (path) => !path.endsWith('stamp.txt'),
  });
  await shareEngine(dist);
  if (resolve(target) !== resolve(root)) copyOthers(target);
}

/** The engine's script is half a megabyte, and is in the library's single file already: pages take it from there. */
async function shareEngine(dist) {
  const { engineScriptOf } = await import(pathToFileURL(join(dist, 'platform/node/serve/engine-script.js')).href);
  if (engineScriptOf(readFileSync(join(dist, 'platform/browser/standalone.js'), 'utf8')) === null)
    throw new Error('build: the engine is not found in standalone.js, which explorer takes it from');
  for (const name of ['engine-worker.js', 'thread-worker.js']) rmSync(join(dist, 'web/generated/explore', name));
}

/** What goes into the package besides dist/: the `files` of package.json (`folder` or `folder/*.ending`), and what npm adds by itself. */
function copyOthers(target) {
  const patterns = manifest.files.filter((pattern) => pattern !== 'dist');
  const named = patterns.flatMap((pattern) => {
    const [folder, ending] = pattern.split('/*');
    if (ending === undefined) return [pattern];
    return readdirSync(join(root, folder)).flatMap((name) => (name.endsWith(ending) ? [`${folder}/${name}`] : []));
  });
  const always = readdirSync(root).filter((name) => /^(?:package\.json|LICENSE|README.*\.md)$/.test(name));
  for (const path of [...named, ...always]) cpSync(join(root, path), join(target, path), { recursive: true });
}

function compile(dist) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const words = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', dist];
  const { status } = spawnSync(process.execPath, words, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('build: the sources do not compile');
}

/** What tsc leaves to do in a module. */
function finishModules(dist) {
  for (const file of filesIn(dist).filter((name) => name.endsWith('.js'))) {
    const path = join(dist, file);
    writeFileSync(path, withoutComments(addressWorkers(readFileSync(path, 'utf8'), path)));
  }
}

/** tsc turns the endings of imports from .ts to .js, but not those of the addresses that workers are started with. */
function addressWorkers(text, path) {
  return text.replace(/(new URL\('(\.[^']*)\.)ts(', import\.meta\.url\))/g, (_, before, name, after) => {
    if (!existsSync(join(dirname(path), `${name}.js`)))
      throw new Error(`build: ${path} starts ${name}.ts, which is not here`);
    return `${before}js${after}`;
  });
}

/** Comments that have lines of their own are for readers of the sources. The lines stay, empty: a stack trace names the same ones. */
function withoutComments(text) {
  return text.replace(/^[ \t]*(?:\/\*\*[\s\S]*?\*\/|\/\/(?!#).*)[ \t]*$/gm, (comment) => comment.replace(/[^\n]/g, ''));
}

/** Declarations that no entry leads to are of no use to a program: they are left out. The others name each other as their modules do. */
function keepPublicTypes(target, dist) {
  const kept = new Set();
  const keep = (path) => {
    if (kept.has(path)) return;
    kept.add(path);
    const text = readFileSync(path, 'utf8');
    const named = text.replace(/((?:from|import\(|import)\s*['"]\.[^'"]+)\.ts(?=['"])/g, '$1.js');
    if (named !== text) writeFileSync(path, named);
    for (const [, name] of named.matchAll(/(?:from|import\(|import)\s*['"](\.[^'"]+)\.js['"]/g)) {
      keep(join(dirname(path), `${name}.d.ts`));
    }
  };
  for (const entry of entries()) keep(join(target, entry.replace(/\.js$/, '.d.ts')));
  for (const file of filesIn(dist).filter((name) => name.endsWith('.d.ts'))) {
    if (!kept.has(join(dist, file))) rmSync(join(dist, file));
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const started = performance.now();
  const [folder] = process.argv.slice(2);
  if (folder === '--stubs') {
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    writeStubs();
    process.exit();
  }
  await build(folder && resolve(folder));
  console.log(`built in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

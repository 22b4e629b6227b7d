/**
 * The published package, as people meet it: packed, installed into an empty project, run by every Node, by Bun and Deno, type-checked by
 * two TypeScripts, bundled by five bundlers, and its bundles run in Chromium.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { bundledModels } from '../../src/platform/node/bundled-models.ts';
import { Llama } from '../../src/platform/node/index.ts';
import { launchBrowser, noBrowser } from '../support/browser.ts';
import { blocks } from '../support/markdown.ts';
import { isolation, type Story, storyAt, storyIn } from './pages.ts';
import { here, must, noRegistry, root, run, Workshop } from './workshop.ts';

const MB = 1e6;
const PACKED_LIMIT = 9 * MB;
const INSTALLED_LIMIT = 30 * MB;
const IMPORT_LIMIT_MS = 60;
/** Processor time in which an empty Node starts on a machine of its own: a slower or shared one is given as much more for the import. */
const EMPTY_START_MS = 30;

let shop: Workshop;
let wanted: string;

const skip = await noRegistry();

before(async () => {
  if (skip) return;
  shop = await Workshop.open();
  const model = await Llama.load();
  cpSync(bundledModels()[0]!.path, join(shop.project, 'model.gguf'));
  wanted = await model.generate('Once upon a time', { maxTokens: 10, temperature: 0 }).text();
  await model.close();
});
after(() => shop?.close());

const bytesIn = (folder: string) =>
  globSync('**/*', { cwd: folder }).reduce((sum, path) => {
    const stat = statSync(join(folder, path));
    return sum + (stat.isFile() ? stat.size : 0);
  }, 0);

test('the pages hold programs to paste', () => {
  assert.ok(pastedPrograms.filter(isOfReadme).length >= 3);
  assert.ok(pastedPrograms.length >= 8);
});

describe('the package', { skip }, () => {
  test('is small, and so is all that it brings', () => {
    assert.ok(statSync(shop.tarball).size <= PACKED_LIMIT, `${statSync(shop.tarball).size} bytes packed`);
    const installed = bytesIn(join(shop.project, 'node_modules'));
    assert.ok(installed <= INSTALLED_LIMIT, `${installed} bytes installed`);
  });

  test('runs no script when it is installed, and brings nothing that does', () => {
    const lock = JSON.parse(readFileSync(join(shop.project, 'package-lock.json'), 'utf8'));
    const withScripts = Object.entries<{ hasInstallScript?: boolean }>(lock.packages).flatMap(([name, entry]) =>
      entry.hasInstallScript ? [name] : [],
    );
    assert.deepEqual(withScripts, []);
    assert.doesNotMatch(shop.installed.stderr, /install-scripts|deprecated/);
  });

  test('holds what its entries name, maps that lead nowhere outside, and no tests', () => {
    const folder = join(shop.project, 'node_modules/cria');
    const files = globSync('**/*', { cwd: folder });
    const named = (value: unknown): string[] =>
      typeof value === 'string' ? [value] : Object.values(value as object).flatMap(named);
    for (const path of named(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).exports)) {
      assert.ok(existsSync(join(folder, path)), `${path} is missing`);
    }
    assert.deepEqual(
      files.filter((path) => /\.test\.|(?<!\.d)\.ts$|testing|^src|^test/.test(path)),
      [],
    );
    const { sources } = JSON.parse(readFileSync(join(folder, 'dist/base/errors.js.map'), 'utf8'));
    assert.deepEqual(sources, ['cria:///src/base/errors.ts']);
  });
});

/** Node in the versions that are supported (the repository runs on the newest), Bun and Deno. */
const runtimes: readonly (readonly [name: string, pattern: string | null, words?: readonly string[]])[] = [
  ['Node 20', 'node-20-*/bin/node'],
  ['Node 22', 'node-22-*/bin/node'],
  ['Node 24', 'node-24-*/bin/node'],
  ['Node 26', null],
  ['Bun', '@oven/bun-*/bin/bun'],
  ['Deno', '@deno/*/deno', ['run', '-A']],
];

/** The pages' programs that end by themselves and need this package alone, with what it brings. */
const pastedPrograms = ['README.md', 'docs/node.md'].flatMap((page) =>
  blocks(readFileSync(join(root, page), 'utf8'), 'ts').flatMap(({ text, line }) => {
    const imported = [...text.matchAll(/ from '([^']+)'/g)].map(([, name]) => name!);
    const isAlone = imported.every((name) => /^(?:cria(?:\/(?:server|training))?|zod)$/.test(name));
    const ends = !/^export |\bBun\.|\bDeno\./m.test(text);
    return isAlone && ends ? [{ page, file: `${page.replace(/\W/g, '-')}-${line}.mjs`, text }] : [];
  }),
);
const isOfReadme = ({ page }: { readonly page: string }) => page === 'README.md';

/** Nobody's home, no folder for temporary files, nothing else to go by. */
const bareEnvironment = { PATH: '/nowhere', HOME: '/nowhere', TMPDIR: '/nowhere' };

describe('runs in', { skip, concurrency: 2 }, () => {
  for (const [name, pattern, words = []] of runtimes) {
    test(name, async (t) => {
      const runtime = pattern === null ? process.execPath : shop.tool(pattern);
      if (runtime === null) {
        t.skip(`no such runtime for this platform among the tools: ${name}`);
        return;
      }
      const env = name === 'Deno' ? process.env : bareEnvironment;
      for (const program of ['story.mjs', 'required.cjs', 'worker.mjs']) {
        const { code, stdout, stderr } = await run(runtime, [...words, program], { cwd: shop.project, env });
        assert.deepEqual({ program, code, stdout, stderr }, { program, code: 0, stdout: wanted, stderr: '' });
      }
    });
  }

  // The guide's programs on the oldest Node, README's beside other engines too; test/e2e/readme.test.ts runs them all on this Node.
  for (const [name, pattern, words = []] of runtimes.filter(([name]) => /Node 20|Bun|Deno/.test(name))) {
    test(`${name}, the programs of README and docs/node.md as pasted`, async (t) => {
      const runtime = shop.tool(pattern!);
      if (runtime === null) {
        t.skip(`no such runtime for this platform among the tools: ${name}`);
        return;
      }
      for (const { file, text } of name === 'Node 20' ? pastedPrograms : pastedPrograms.filter(isOfReadme)) {
        writeFileSync(join(shop.project, file), text);
        const { stdout } = await must(runtime, [...words, file], { cwd: shop.project });
        assert.notEqual(stdout, '', file);
      }
    });
  }

  test('Node 20, every module of it', async (t) => {
    const node = shop.tool('node-20-*/bin/node');
    if (node === null) {
      t.skip('no such runtime for this platform among the tools: Node 20');
      return;
    }
    const { stdout } = await must(node, ['modules.mjs'], { cwd: shop.project });
    const { count } = JSON.parse(stdout);
    assert.ok(count > 200, `${count} modules`);
  });

  test('a command line: npx cria', async () => {
    const command = join(shop.project, 'node_modules/cria/bin/cria.js');
    for (const pattern of ['node-20-*/bin/node', null]) {
      const node = pattern === null ? process.execPath : shop.tool(pattern);
      if (node === null) continue;
      const words = [command, 'run', 'Once upon a time', '-n', '10', '--temperature', '0'];
      const { stdout } = await must(node, words, { cwd: shop.project });
      assert.equal(stdout.trimEnd(), `Once upon a time${wanted}`);
    }
  });
});

test(`import 'cria' takes less than ${IMPORT_LIMIT_MS} ms of processor time`, { skip }, async () => {
  const empty = 'const { user, system } = process.cpuUsage(); console.log((user + system) / 1000)';
  const times: number[] = [];
  const starts: number[] = [];
  for (let i = 0; i < 8; i++) {
    starts.push(Number((await must(process.execPath, ['-e', empty], { cwd: shop.project })).stdout));
    times.push(Number((await must(process.execPath, ['speed.mjs'], { cwd: shop.project })).stdout));
  }
  const limit = IMPORT_LIMIT_MS * Math.max(1, Math.min(...starts) / EMPTY_START_MS);
  assert.ok(Math.min(...times) < limit, `${times.join(', ')} ms; an empty Node: ${starts.join(', ')} ms`);
});

test('compiles under TypeScript 5 and 7, in Node and with a bundler, its declarations included', { skip }, async () => {
  const compilers = [shop.tool('typescript-5/bin/tsc')!, join(root, 'node_modules/typescript/bin/tsc')];
  const common = { target: 'es2022', strict: true, noEmit: true, exactOptionalPropertyTypes: true, types: ['node'] };
  const bundled = {
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'],
  };
  const kinds = [
    { module: 'nodenext', lib: ['es2024', 'esnext.disposable'] },
    bundled,
    { ...bundled, customConditions: ['browser'] },
  ];
  for (const [i, kind] of kinds.entries()) {
    const config = join(shop.project, `tsconfig.${i}.json`);
    const compilerOptions = {
      ...common,
      ...kind,
      skipLibCheck: false,
      typeRoots: [join(shop.tools, 'node_modules/@types')],
    };
    writeFileSync(config, JSON.stringify({ compilerOptions, files: ['types.mts'] }));
    for (const tsc of compilers) await must(process.execPath, [tsc, '-p', config], { cwd: shop.project });
  }
});

describe('bundled by', { skip: skip || noBrowser, concurrency: 2 }, () => {
  let browser: Browser;
  before(async () => {
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  /** The same tokens as in Node; two threads where the page is isolated, one and a word where it is not. */
  const checkStories = ({ isolated, open }: { isolated: Story; open: Story }) => {
    assert.equal(isolated.text, wanted);
    assert.match(isolated.device, /^wasm, 2 threads,/);
    assert.equal(open.text, wanted);
    assert.match(open.device, /^wasm, 1 thread,.*not cross-origin isolated/);
  };
  const check = async (folder: string, script: 'module' | 'classic') => {
    const type = script === 'module' ? ' type="module"' : '';
    if (!existsSync(join(folder, 'index.html'))) {
      writeFileSync(join(folder, 'index.html'), `<!doctype html><script${type} src="page.js"></script>`);
    }
    checkStories({ isolated: await storyIn(browser, folder, isolation), open: await storyIn(browser, folder, {}) });
  };

  test('Vite', async () => {
    const source = shop.folder('vite');
    cpSync(join(shop.project, 'page.js'), join(source, 'page.js'));
    writeFileSync(join(source, 'index.html'), '<!doctype html><script type="module" src="./page.js"></script>');
    const vite = join(root, 'node_modules/vite/bin/vite.js');
    await must(process.execPath, [vite, 'build', source, '--logLevel', 'warn'], { cwd: shop.project });
    await check(join(source, 'dist'), 'module');
  });

  test('Vite, a page that trains: the same losses to the bit as in Node', async () => {
    const source = shop.folder('vite-training');
    cpSync(join(shop.project, 'training.js'), join(source, 'training.js'));
    writeFileSync(join(source, 'index.html'), '<!doctype html><script type="module" src="./training.js"></script>');
    const vite = join(root, 'node_modules/vite/bin/vite.js');
    await must(process.execPath, [vite, 'build', source, '--logLevel', 'warn'], { cwd: shop.project });
    const { stdout } = await must(process.execPath, ['training.js'], { cwd: shop.project });
    const page = await storyIn(browser, join(source, 'dist'), isolation);
    assert.equal(page.text, stdout.trimEnd());
    assert.match(page.device, /^wasm, 2 threads,/);
  });

  test('webpack', async () => {
    const output = shop.folder('webpack');
    const build = `
      import webpack from 'webpack';
      // Vite and Next.js make the names short; Terser would take most of the time
      const optimization = { minimize: false };
      const output = { path: ${JSON.stringify(output)} };
      webpack({ mode: 'production', entry: { page: './page.js' }, output, optimization }, (error, stats) => {
        if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
      });`;
    writeFileSync(join(shop.project, 'webpack.mjs'), build);
    await must(process.execPath, ['webpack.mjs'], { cwd: shop.project });
    await check(output, 'classic');
  });

  /** What does not follow the addresses of workers is given them as entries, whose names they keep. */
  const workers = ['engine-worker', 'thread-worker'].map(
    (name) => `node_modules/cria/dist/platform/browser/${name}.js`,
  );

  test('esbuild', async () => {
    const output = shop.folder('esbuild');
    const words = ['page.js', ...workers, '--bundle', '--format=esm', '--entry-names=[name]', `--outdir=${output}`];
    await must(shop.tool('esbuild/bin/esbuild')!, words, { cwd: shop.project });
    await check(output, 'module');
  });

  test('Rollup', async () => {
    const output = shop.folder('rollup');
    const rollup = shop.tool('rollup/dist/bin/rollup')!;
    const words = ['page.js', ...workers, '--format', 'es', '--dir', output, '--plugin', 'node-resolve={browser:true}'];
    await must(process.execPath, [rollup, ...words], { cwd: shop.project });
    await check(output, 'module');
  });

  test('nothing at all: one file, for <script type="module">', async () => {
    const output = shop.folder('plain');
    cpSync(join(shop.project, 'node_modules/cria/dist/platform/browser/standalone.js'), join(output, 'cria.js'));
    const page = readFileSync(join(shop.project, 'page.js'), 'utf8');
    writeFileSync(join(output, 'page.js'), page.replace("'cria'", "'./cria.js'"));
    await check(output, 'module');
  });

  test('where a thread cannot start: one thread and a warning', async () => {
    const output = shop.folder('threadless');
    cpSync(join(shop.project, 'esbuild'), output, { recursive: true });
    rmSync(join(output, 'thread-worker.js'));
    const story = await storyIn(browser, output, isolation);
    assert.equal(story.text, wanted);
    assert.match(story.device, /^wasm, 1 thread,.*threads do not start here/);
  });

  test('Next.js: a server component and client components', async () => {
    const folder = shop.folder('next');
    cpSync(join(here, 'next'), folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    cpSync(bundledModels()[0]!.path, join(shop.folder('next/public'), 'model.gguf'));
    const next = shop.tool('next/dist/bin/next')!;
    const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
    await must(process.execPath, [next, 'build'], { cwd: folder, env });
    const port = await freePort();
    const server = spawn(process.execPath, [next, 'start', '-H', '127.0.0.1', '-p', String(port)], {
      cwd: folder,
      env,
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.stdout.setEncoding('utf8').on('data', (text: string) => text.includes('Ready') && resolve());
        server.on('exit', (code) => reject(new Error(`next start ended with ${code}`)));
      });
      const address = `http://127.0.0.1:${port}/`;
      const html = await (await fetch(address)).text();
      assert.equal(/<p id="story">([^<]*)/.exec(html)?.[1], wanted);
      checkStories({
        isolated: await storyAt(browser, `${address}isolated`),
        open: await storyAt(browser, `${address}open`),
      });
    } finally {
      server.kill();
    }
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address!.port : 0));
    });
  });
}

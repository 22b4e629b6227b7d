/** Packs the package, installs it into an empty project, and runs programs there: in other Nodes, Bun, Deno, bundlers. One install for all. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const here = fileURLToPath(new URL('./', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly cwd?: string;
  /** The whole environment; absent: this process's. */
  readonly env?: NodeJS.ProcessEnv;
}

export function run(command: string, words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs it, and throws with all that it wrote unless it ends with 0. */
export async function must(command: string, words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const outcome = await run(command, words, options);
  if (outcome.code === 0) return outcome;
  throw new Error(`${command} ${words.join(' ')} ended with ${outcome.code}\n${outcome.stdout}\n${outcome.stderr}`);
}

const npm = (words: readonly string[], cwd: string) =>
  must(process.execPath, [npmScript(), ...words, '--no-audit', '--no-fund', '--prefer-offline'], { cwd });

/** npm as `npm test` runs it; else the one beside this Node. */
function npmScript(): string {
  const named = process.env.npm_execpath;
  if (named?.endsWith('.js')) return named;
  const [found] = ['/usr/lib', '/usr/local/lib']
    .map((lib) => `${lib}/node_modules/npm/bin/npm-cli.js`)
    .filter(existsSync);
  if (found === undefined) throw new Error('package test: npm was not found. Run it as: npm test -- test/package');
  return found;
}

function toolsFolder(): string {
  const lock = readFileSync(join(here, 'tools/package-lock.json'));
  return join(tmpdir(), `cria-package-tools-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`);
}

/** Runtimes, bundlers and compilers, installed once per lock file into the system's folder for temporary files, where the next run finds them. */
async function installTools(): Promise<string> {
  const folder = toolsFolder();
  if (existsSync(folder)) return folder;
  const making = mkdtempSync(`${folder}.`);
  cpSync(join(here, 'tools'), making, { recursive: true });
  await npm(['ci', '--ignore-scripts'], making); // what it brings are files to run, without scripts of theirs
  try {
    renameSync(making, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(making, { recursive: true }); // another run was faster
  }
  return folder;
}

/** For node:test's `skip` option: in CI the packages must be had; elsewhere somebody may work without a network. */
export async function noRegistry(): Promise<false | string> {
  if (process.env.CI || existsSync(toolsFolder())) return false;
  const { code } = await run(process.execPath, [npmScript(), 'view', 'esbuild', 'version', '--fetch-retries=0']);
  return code === 0 ? false : 'no npm registry answers here';
}

/** The packed package. `folder` is made, and holds nothing else. */
async function pack(folder: string): Promise<string> {
  await must(process.execPath, [join(root, 'scripts/build.js'), folder], { cwd: root });
  await npm(['pack', '--ignore-scripts'], folder);
  return join(folder, globSync('*.tgz', { cwd: folder })[0]!);
}

export class Workshop {
  readonly tools: string;
  readonly tarball: string;
  /** A project that has installed the package, and holds the programs. */
  readonly project: string;
  /** What npm said when it installed the package. */
  readonly installed: Outcome;
  private readonly stage: string;

  private constructor(tools: string, stage: string, tarball: string, project: string, installed: Outcome) {
    this.tools = tools;
    this.stage = stage;
    this.tarball = tarball;
    this.project = project;
    this.installed = installed;
  }

  static async open(): Promise<Workshop> {
    const stage = mkdtempSync(join(tmpdir(), 'cria-package-'));
    const [tools, tarball] = await Promise.all([installTools(), pack(stage)]);
    const project = mkdtempSync(join(tools, 'project-'));
    writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
    const installed = await npm(['install', '--loglevel=warn', tarball], project);
    cpSync(join(here, 'programs'), project, { recursive: true });
    return new Workshop(tools, stage, tarball, project, installed);
  }

  close(): void {
    for (const folder of [this.stage, this.project]) rmSync(folder, { recursive: true, force: true });
  }

  /** A file that the tools brought. */
  tool(pattern: string): string | null {
    const [found] = globSync(`node_modules/${pattern}`, { cwd: this.tools });
    return found === undefined ? null : join(this.tools, found);
  }

  /** A folder of the project's, for a bundle. */
  folder(name: string): string {
    const path = join(this.project, name);
    mkdirSync(path, { recursive: true });
    return path;
  }
}

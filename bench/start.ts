/**
 * From the start of a process to its first token, with the file in the page cache, and the memory it took at most; Cria and a peer in turns:
 *
 *   node bench/start.ts -m model.gguf -t 2 -c 512 -r 5 [--peer node-llama-cpp|wllama]
 *
 * A process is the engine's adapter: Node starts, the model loads, a prompt of 16 tokens is read. Linux only, for the memory.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { formatBytes } from '../src/base/units.ts';
import { parse } from '../src/cli/parse/parse.ts';
import { markdownTable } from '../src/cli/terminal/columns.ts';
import { describeMachine } from '../src/platform/node/machine.ts';
import { startEngine } from './engines.ts';
import { median } from './report.ts';
import { updateResults } from './results-file.ts';

const { options, problems } = parse(
  {
    options: {
      model: { kind: 'text', short: 'm', required: true, help: 'a GGUF file' },
      threads: { kind: 'integer', short: 't', min: 1, default: 2, help: 'threads' },
      context: { kind: 'integer', short: 'c', min: 32, default: 512, help: 'context' },
      repetitions: { kind: 'integer', short: 'r', min: 1, default: 5, help: 'rounds' },
      peer: { kind: 'choice', values: ['node-llama-cpp', 'wllama'], default: 'node-llama-cpp', help: 'the other' },
      dry: { kind: 'flag', help: 'leave bench/RESULTS.md alone' },
    },
    positionals: ['model'],
  },
  process.argv.slice(2),
  {},
);
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(2);
}
const { model, threads, context, peer } = options;
const names = ['cria', peer];
const seconds: Record<string, number[]> = {};
const peaks: Record<string, number[]> = {};
const file = statSync(model).size;
execFileSync('cat', [model], { stdio: 'ignore' }); // into the page cache
for (let round = 0; round < options.repetitions; round++) {
  for (const name of round % 2 === 0 ? names : names.toReversed()) {
    const from = performance.now();
    const engine = await startEngine(name, { model, threads, context });
    await engine.run({ prompt: 16, generate: 0, depth: 0 });
    const taken = (performance.now() - from) / 1000;
    const peak = Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${engine.pid}/status`, 'utf8'))![1]) * 1024;
    (seconds[name] ??= []).push(taken);
    (peaks[name] ??= []).push(peak);
    console.log(`${name}: ${taken.toFixed(2)} s, ${formatBytes(peak)}`);
    await engine.close();
  }
}
const rows = names.map((name) => [
  name,
  median(seconds[name]!).toFixed(2),
  `${Math.min(...seconds[name]!).toFixed(2)} … ${Math.max(...seconds[name]!).toFixed(2)}`,
  formatBytes(median(peaks[name]!)),
  (median(peaks[name]!) / file).toFixed(2),
]);
const machine = describeMachine();
const section = [
  `## ${basename(model)}: start to first token, ${threads} threads`,
  '',
  `${machine.cpu}, ${machine.physicalCores} cores; file ${formatBytes(file)} in the page cache; node ${machine.node}; ${new Date().toISOString().slice(0, 10)}.`,
  `Medians of ${options.repetitions} rounds that took turns. \`node bench/start.ts ${process.argv
    .slice(2)
    .map((word) => (word === model ? basename(word) : word))
    .join(' ')}\``,
  '',
  markdownTable([['process', 'first token, s', 'least … most', 'peak memory', '× file'], ...rows], [1, 2, 3, 4]),
  '',
].join('\n');
console.log(`\n${section}`);
if (!options.dry) updateResults(section);

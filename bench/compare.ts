/**
 * Cria and a peer on the same file with the same number of threads, taking turns round by round, so that whatever else the machine does
 * hits both. Prints medians and the ratio with its spread, and puts them into bench/RESULTS.md.
 *
 *   node bench/compare.ts -m model.gguf -p 128,512 -n 64 [-d 0,2048] -t 2 -r 7 [--peer node-llama-cpp|wllama] [--blas] [--no-native]
 *
 * CRIA_CPU_WITHOUT=AVX512F,AVX_VNNI before it measures Cria as on a processor without these (platform/node/native/processor.ts), beside the peer as it is.
 * Peers are installed on first use, each in a folder of its own under bench/peers, never by `npm ci`.
 */
import { basename } from 'node:path';
import { parse } from '../src/cli/parse/parse.ts';
import { describeMachine } from '../src/platform/node/machine.ts';
import { type Engine, startEngine } from './engines.ts';
import { type Comparison, median, toSection } from './report.ts';
import { updateResults } from './results-file.ts';

const { options, problems } = parse(
  {
    options: {
      model: { kind: 'text', short: 'm', required: true, help: 'a GGUF file' },
      nPrompt: { kind: 'integers', short: 'p', min: 0, default: [128, 512], help: 'prompt lengths' },
      nGen: { kind: 'integers', short: 'n', min: 0, default: [64], help: 'generated tokens' },
      nDepth: { kind: 'integers', short: 'd', min: 0, default: [0], help: 'tokens of context before those generated' },
      threads: { kind: 'integers', short: 't', min: 1, default: [1, 2], help: 'thread counts' },
      repetitions: { kind: 'integer', short: 'r', min: 1, default: 7, help: 'rounds' },
      peer: {
        kind: 'choice',
        values: ['node-llama-cpp', 'wllama'],
        default: 'node-llama-cpp',
        help: 'whom to compare with',
      },
      blas: { kind: 'flag', help: "Cria's prompts with --blas too, as rows of their own" },
      native: { kind: 'flag', default: true, help: 'Cria without machine code too, as rows of their own' },
      dry: { kind: 'flag', help: 'leave bench/RESULTS.md alone' },
    },
    positionals: ['model'],
  },
  process.argv.slice(2),
  {},
);
const isBrowser = options.peer === 'wllama' && (options.blas || !options.native);
if (problems.length > 0 || isBrowser) {
  const words = '--peer wllama: not with --blas or --no-native, as browsers have neither a BLAS nor machine code';
  console.error([...problems, ...(isBrowser ? [words] : [])].join('\n'));
  process.exit(2);
}

const tests = [
  ...options.nPrompt.filter((count) => count > 0).map((prompt) => ({ prompt, generate: 0, depth: 0 })),
  ...options.nDepth.flatMap((depth) =>
    options.nGen.filter((count) => count > 0).map((generate) => ({ prompt: 0, generate, depth })),
  ),
];
const context = Math.max(...tests.map(({ prompt, generate, depth }) => prompt + generate + depth)) + 8;
const own = options.peer === 'wllama' ? 'cria-chromium' : 'cria';
/** Who takes turns, and tokens a second of every test, round by round. */
interface Side {
  readonly name: string;
  readonly engine: Engine;
  readonly samples: number[][];
  readonly onlyPrompts: boolean;
}
const comparisons: Comparison[] = [];
let versions: Record<string, string> = {};

for (const threads of options.threads) {
  const load = { model: options.model, threads, context };
  const cria = await startEngine(own, load);
  const others: Side[] = [];
  if (options.blas) {
    const engine = await startEngine(own, { ...load, criaArguments: { blas: true } });
    others.push({ name: '--blas', engine, samples: tests.map(() => []), onlyPrompts: true });
  }
  if (!options.native) {
    const engine = await startEngine(own, { ...load, criaArguments: { native: false } });
    others.push({ name: '--no-native', engine, samples: tests.map(() => []), onlyPrompts: false });
  }
  const peer = await startEngine(options.peer, load);
  versions = { ...versions, ...peer.ready.versions, ...cria.ready.versions };
  for (const { name, engine } of others) versions[`kernels with ${name}`] = engine.ready.versions.kernels!;
  const plain: Side = { name: '', engine: cria, samples: tests.map(() => []), onlyPrompts: false };
  const theirs: Side = { name: '', engine: peer, samples: tests.map(() => []), onlyPrompts: false };
  for (let round = -1; round < options.repetitions; round++) {
    for (const [i, test] of tests.entries()) {
      if (round < 0 && i > 0 && test.prompt > 0) continue; // one prompt warms up for all
      // Who goes first alternates too.
      const order = [plain, theirs, ...others].filter((side) => test.prompt > 0 || !side.onlyPrompts);
      if (round % 2 !== 0) order.reverse();
      for (const { engine, samples } of order) {
        const { seconds } = await engine.run(test);
        if (round >= 0) samples[i]!.push((test.prompt + test.generate) / seconds);
      }
    }
  }
  for (const [i, { prompt, generate, depth }] of tests.entries()) {
    const peers = theirs.samples[i]!;
    for (const { name, samples, onlyPrompts } of [plain, ...others]) {
      if (onlyPrompts && prompt === 0) continue;
      const ours = samples[i]!;
      const test = `${prompt > 0 ? `pp${prompt}` : `tg${generate}`}${depth > 0 ? ` @ d${depth}` : ''}${name && `, ${name}`}`;
      comparisons.push({ test, threads, ours, theirs: peers });
      const ratio = median(ours.map((rate, k) => rate / peers[k]!));
      console.log(
        `${threads} threads ${test}: ${median(ours).toFixed(1)} against ${median(peers).toFixed(1)} tokens/s, ${ratio.toFixed(2)}×`,
      );
    }
  }
  const loads = { ours: cria.ready.loadSeconds, theirs: peer.ready.loadSeconds };
  console.log(`${threads} threads load: ${loads.ours.toFixed(2)} s against ${loads.theirs.toFixed(2)} s`);
  await Promise.all([cria, peer, ...others.map(({ engine }) => engine)].map((engine) => engine.close()));
}

const shown = process.argv.slice(2).map((word) => (word === options.model ? basename(word) : word));
const section = toSection({
  title: `${basename(options.model)}, ${own} and ${options.peer}, threads: ${options.threads.join(', ')}`,
  command: `node bench/compare.ts ${shown.join(' ')}`,
  machine: describeMachine(),
  versions,
  comparisons,
});
console.log(`\n${section}`);
if (!options.dry) updateResults(section);

/**
 * Items a second of multiple choice, with prefixes shared and without, and llama.cpp's with --peer:
 * `node bench/eval.ts -m MODEL [--data DIR] [--items 8] [--rounds 2] [--peer]`
 *
 * MMLU with 5 shots (one subject) and HellaSwag without examples, under the harness's rules, on any model; bench/RESULTS.md has the shape
 * of TinyLlama: `cria init tinyllama-1.1b --dtype q4_0 --tokenizer tokenizer.model -o tiny.gguf`. Without sharing every choice is a
 * request of its own whose first token no other has, so that the cache can give nothing; the work is that of a program without a cache.
 * The peer scores the same tokens through node-llama-cpp (eval-peer.ts); how far its scores lie from ours is printed.
 * The rounds take turns. Shared scores are also asked for one item at a time and must be the same to the bit.
 */
import { parseArgs } from 'node:util';
import { evaluateTask, type TaskResult } from '../src/evaluation/run/evaluate.ts';
import type { EvaluatedModel } from '../src/evaluation/run/model.ts';
import { builtInTasks } from '../src/evaluation/tasks/table.ts';
import type { Score } from '../src/inference/reading/scoring.ts';
import { loadTaskData, parsePlaces } from '../src/platform/node/evaluation/data.ts';
import { evaluatedModel } from '../src/platform/node/evaluation/evaluated-model.ts';
import { Llama } from '../src/platform/node/index.ts';
import { describeMachine } from '../src/platform/node/machine.ts';
import { peerModel } from './eval-peer.ts';
import { median } from './report.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    data: { type: 'string', default: 'data' },
    items: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '2' },
    threads: { type: 'string', short: 't' },
    subject: { type: 'string', default: 'anatomy' },
    peer: { type: 'boolean', default: false },
  },
});
if (values.model === undefined) {
  console.error('bench/eval: expected -m MODEL. See the top of the file.');
  process.exit(2);
}
const { signal } = new AbortController();
const threads = values.threads === undefined ? {} : { threads: Number(values.threads) };
const model = await Llama.load(values.model, { contextLength: 2048, cacheTokens: 4096, ...threads });
const shared = evaluatedModel(model, { signal, chat: false });

/** A beginning that nothing shares. */
let next = 3;
const apart = (ids: Uint32Array): Uint32Array => {
  const own = ids.slice();
  own[0] = next;
  next = next + 1 < model.config.vocabSize ? next + 1 : 3;
  return own;
};
const alone: EvaluatedModel = {
  ...shared,
  score: async (context, continuations) =>
    (await Promise.all(continuations.map((continuation) => shared.score(apart(context), [continuation])))).flat(),
};

const { cpu, physicalCores } = describeMachine();
const peer = values.peer ? await peerModel(shared, values.model, threads.threads ?? physicalCores) : null;
const hub = { signal, offline: true, env: {}, onProgress() {} };
console.log(
  `${cpu}; ${model.facts.name}; ${values.items} items, ${values.rounds} rounds${peer ? `; llama.cpp ${peer.release}` : ''}`,
);
const scoresOf = (result: TaskResult) => result.items.map(({ answered }) => answered.scores);
for (const [name, shots] of [
  [`mmlu_${values.subject}`, 5],
  ['hellaswag', 0],
] as const) {
  const spec = builtInTasks.get(name)!;
  const count = Number(values.items);
  const rounds = Number(values.rounds);
  const data = await loadTaskData(spec, parsePlaces([values.data]), {
    hub,
    limit: count * rounds,
    withPool: shots > 0,
  });
  // Each round has items of its own: what a round before has left in the cache is the examples at most.
  const run = async (view: EvaluatedModel, round: number, lanes = 8) => {
    const docs = data.docs.slice(round * count, (round + 1) * count);
    const started = performance.now();
    const used = process.cpuUsage();
    const [result] = await evaluateTask(view, { spec, docs, pool: data.pool }, { rules: ['harness'], shots, lanes });
    const { user, system } = process.cpuUsage(used);
    const rate = (docs.length * 1000) / (performance.now() - started);
    return { rate, processor: (docs.length * 1e6) / (user + system), result: result! };
  };
  const rates = { shared: [] as number[], alone: [] as number[], peer: [] as number[] };
  const processor = { shared: [] as number[], alone: [] as number[], peer: [] as number[] };
  const ours: Score[] = [];
  const theirs: Score[] = [];
  let last: TaskResult | undefined;
  for (let round = 0; round < rounds; round++) {
    const withSharing = await run(shared, round);
    last = withSharing.result;
    rates.shared.push(withSharing.rate);
    processor.shared.push(withSharing.processor);
    const without = await run(alone, round);
    rates.alone.push(without.rate);
    processor.alone.push(without.processor);
    if (peer === null) continue;
    const other = await run(peer.model, round);
    rates.peer.push(other.rate);
    processor.peer.push(other.processor);
    ours.push(...scoresOf(last).flat());
    theirs.push(...scoresOf(other.result).flat());
  }
  const oneByOne = await run(shared, rounds - 1, 1);
  const same = JSON.stringify(scoresOf(oneByOne.result)) === JSON.stringify(scoresOf(last!));
  const [fast, slow] = [median(rates.shared), median(rates.alone)];
  console.log(
    `${name}, ${shots} shots: ${fast.toFixed(2)} items/s shared, ${slow.toFixed(2)} without, ${(fast / slow).toFixed(1)} ×; ` +
      `one item at a time ${oneByOne.rate.toFixed(2)} items/s, scores ${same ? 'the same to the bit' : 'DIFFER'}`,
  );
  console.log(`  rounds: shared ${shown(rates.shared)}; without ${shown(rates.alone)}`);
  // On a machine with other work the seconds that the process had, which say as much with one thread.
  console.log(
    `  items a processor second: shared ${shown(processor.shared)}; without ${shown(processor.alone)}; ` +
      `${(median(processor.shared) / median(processor.alone)).toFixed(1)} ×${peer ? `; llama.cpp ${shown(processor.peer)}` : ''}`,
  );
  if (peer === null) continue;
  const apart = ours.map(({ logLikelihood, tokens }, i) => Math.abs(logLikelihood - theirs[i]!.logLikelihood) / tokens);
  const greedy = ours.filter(({ isGreedy }, i) => isGreedy === theirs[i]!.isGreedy).length;
  console.log(
    `  llama.cpp ${median(rates.peer).toFixed(2)} items/s (${shown(rates.peer)}); ours ${(fast / median(rates.peer)).toFixed(2)} × of it; ` +
      `log p a token differs by ${median(apart).toFixed(4)} in the median, ${Math.max(...apart).toFixed(4)} at most; ` +
      `${greedy} of ${ours.length} continuations judged greedy alike`,
  );
}
await model.close();

function shown(rates: readonly number[]): string {
  return rates.map((rate) => rate.toFixed(3)).join(', ');
}
process.exit(0); // the peer's threads stay

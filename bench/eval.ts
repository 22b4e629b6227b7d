/**
 * Items a second of multiple choice, with prefixes shared and without: `node bench/eval.ts -m MODEL [--data DIR] [--items 8] [--rounds 2]`
 *
 * MMLU with 5 shots (one subject) and HellaSwag without examples, under the harness's rules, on any model; bench/RESULTS.md has the shape
 * of TinyLlama: `cria init tinyllama-1.1b --dtype q4_0 --tokenizer tokenizer.model -o tiny.gguf`. Without sharing every choice is a
 * request of its own whose first token no other has, so that the cache can give nothing; the work is that of a program without a cache.
 * The rounds take turns. Shared scores are also asked for one item at a time and must be the same to the bit.
 */
import { parseArgs } from 'node:util';
import { evaluateTask } from '../src/evaluation/run/evaluate.ts';
import type { EvaluatedModel } from '../src/evaluation/run/model.ts';
import { builtInTasks } from '../src/evaluation/tasks/table.ts';
import { loadTaskData, parsePlaces } from '../src/platform/node/evaluation/data.ts';
import { evaluatedModel } from '../src/platform/node/evaluation/evaluated-model.ts';
import { Llama } from '../src/platform/node/index.ts';
import { describeMachine } from '../src/platform/node/machine.ts';
import { median } from './report.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', short: 'm' },
    data: { type: 'string', default: 'data' },
    items: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '2' },
    threads: { type: 'string', short: 't' },
    subject: { type: 'string', default: 'anatomy' },
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

const hub = { signal, offline: true, env: {}, onProgress() {} };
const { cpu } = describeMachine();
console.log(`${cpu}; ${model.facts.name}; ${values.items} items, ${values.rounds} rounds`);
for (const [name, shots] of [
  [`mmlu_${values.subject}`, 5],
  ['hellaswag', 0],
] as const) {
  const spec = builtInTasks.get(name)!;
  const count = Number(values.items);
  const limit = count * Number(values.rounds);
  const data = await loadTaskData(spec, parsePlaces([values.data]), { hub, limit, withPool: shots > 0 });
  // Each round has items of its own: what a round before has left in the cache is the examples at most.
  const run = async (view: EvaluatedModel, round: number, lanes = 8) => {
    const docs = data.docs.slice(round * count, (round + 1) * count);
    const started = performance.now();
    const [result] = await evaluateTask(view, { spec, docs, pool: data.pool }, { rules: ['harness'], shots, lanes });
    return { rate: (docs.length * 1000) / (performance.now() - started), result: result! };
  };
  const rates = { shared: [] as number[], alone: [] as number[] };
  let scores = '';
  for (let round = 0; round < Number(values.rounds); round++) {
    const withSharing = await run(shared, round);
    rates.shared.push(withSharing.rate);
    rates.alone.push((await run(alone, round)).rate);
    scores = JSON.stringify(withSharing.result.items.map(({ answered }) => answered.scores));
  }
  const oneByOne = await run(shared, Number(values.rounds) - 1, 1);
  const same = JSON.stringify(oneByOne.result.items.map(({ answered }) => answered.scores)) === scores;
  const [fast, slow] = [median(rates.shared), median(rates.alone)];
  console.log(
    `${name}, ${shots} shots: ${fast.toFixed(2)} items/s shared, ${slow.toFixed(2)} without, ${(fast / slow).toFixed(1)} ×; ` +
      `one item at a time ${oneByOne.rate.toFixed(2)} items/s, scores ${same ? 'the same to the bit' : 'DIFFER'}`,
  );
}
await model.close();

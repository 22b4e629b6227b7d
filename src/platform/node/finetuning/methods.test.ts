/** Each method on a toy task shows the effect that it should, with a seed: preferences, rewards, rejection sampling, PPO, GRPO. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Ran, tune, tuningPlace, writeBase } from '../../../../test/support/tuning.ts';
import { digestOf } from '../training/whole-folder.ts';

const { at, remove } = tuningPlace();
after(remove);

const animals = ['fox', 'hen', 'cat', 'dog'];
const places = ['hill', 'wood'];
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');
const ask = (animal: string) => `Where is the ${animal}?`;
const write = (name: string, rows: readonly unknown[]) => writeFileSync(at(name), lines(rows));

const model = { from: at('sft'), template: 'llama2' };
/** Only what a method reads. */
function outputOf({ method = 'sft' }: { readonly method?: unknown }): Record<string, unknown> {
  const seldom = { checkpointEvery: 100, validateEvery: 100 };
  if (method === 'reward') return seldom;
  if (method !== 'sft' && method !== 'dpo') return { ...seldom, sampleEvery: 100 };
  return { ...seldom, sampleEvery: 100, samplePrompt: ask('fox'), sampleTokens: 18 };
}
const prompts = { train: [{ path: at('prompts.jsonl') }] };
const sampling = { maxTokens: 18, temperature: 1 };
const mean = (run: Ran, name: string, from: number, to?: number) => {
  const values = run.metrics.slice(from, to).map(({ numbers }) => numbers[name]!);
  return values.reduce((a, b) => a + b, 0) / values.length;
};
async function ran(recipe: Readonly<Record<string, unknown>>, out: string): Promise<Ran> {
  const run = await tune(at, { model, output: outputOf(recipe), ...recipe }, { out });
  equal(run.status, 0, run.stderr);
  return run;
}

before(async () => {
  writeBase(at('base'));
  write(
    'sft.jsonl',
    animals.flatMap((animal) => places.map((place) => ({ prompt: ask(animal), completion: `It is on the ${place}.` }))),
  );
  write(
    'prompts.jsonl',
    animals.map((animal) => ({ prompt: ask(animal) })),
  );
  write(
    'pairs.jsonl',
    animals.map((animal, i) => ({
      prompt: ask(animal),
      chosen: 'It is on the wood.',
      rejected: 'It is on the hill.',
      rating: ['significantly', 'better', 'slightly', 'negligibly'][i],
    })),
  );
  const data = { train: [{ path: at('sft.jsonl') }], asChat: true };
  await ran(
    { name: 'sft', model: { ...model, from: at('base') }, data, training: { steps: 60, batch: 8, learningRate: 0.01 } },
    'sft',
  );
});

const pairs = { train: [{ path: at('pairs.jsonl') }], asChat: true };

const gentle = { steps: 25, batch: 4, learningRate: 0.0005, schedule: 'constant' };

describe('preferences', () => {
  for (const [loss, more] of [
    ['sigmoid', { beta: 0.5, nllWeight: 0.5 }],
    ['ipo', { beta: 0.5, nllWeight: 0.5 }],
    ['orpo', { lambda: 1 }],
    ['simpo', { beta: 2, gamma: 0.5, nllWeight: 0.5 }],
    ['robust', { beta: 0.5, labelSmoothing: 0.1, nllWeight: 0.5 }],
  ] as const) {
    test(`dpo, loss ${loss}: the margin grows, the rejected word disappears from answers`, async () => {
      const run = await ran(
        {
          name: loss,
          method: 'dpo',
          data: pairs,
          dpo: { loss, ...more },
          output: { ...outputOf({}), sampleEvery: 1 },
          training: gentle,
        },
        `dpo-${loss}`,
      );
      const [first, last] = [run.metrics[0]!, run.metrics.at(-1)!];
      ok(last.loss < first.loss, `${first.loss} → ${last.loss}`);
      ok(last.numbers.margin! > first.numbers.margin! + 0.5, `${first.numbers.margin} → ${last.numbers.margin}`);
      equal(last.numbers.accuracy, 1);
      const answers = run.metrics.slice(-4).map(({ sample }) => sample!);
      ok(
        !answers.some((answer) => answer.includes('hill')) && answers.some((answer) => answer.includes('wood')),
        answers.join(),
      );
    });
  }

  test('dpo begins with the policy as its own reference: the loss is log 2', async () => {
    const training = { ...gentle, steps: 1 };
    const run = await ran({ name: 'first', method: 'dpo', data: pairs, training }, 'dpo-first');
    ok(Math.abs(run.metrics[0]!.loss - Math.log(2)) < 1e-6);
  });

  test('kto: answers that were liked gain on the others', async () => {
    const run = await ran(
      {
        name: 'kto',
        method: 'dpo',
        data: pairs,
        dpo: { loss: 'kto', beta: 0.5 },
        training: { steps: 15, batch: 8, learningRate: 0.003 },
      },
      'kto',
    );
    ok(run.metrics.at(-1)!.loss < run.metrics[0]!.loss);
    equal(run.metrics.at(-1)!.numbers.accuracy, 1);
  });

  test('dpo of an adapter: its reference is the model without it', async () => {
    const adapter = { kind: 'lora', rank: 4 };
    const run = await ran(
      {
        name: 'a',
        method: 'dpo',
        adapter,
        data: pairs,
        dpo: { beta: 0.5 },
        training: { steps: 20, batch: 4, learningRate: 0.01 },
      },
      'dpo-lora',
    );
    ok(Math.abs(run.metrics[0]!.loss - Math.log(2)) < 1e-6);
    ok(run.metrics.at(-1)!.numbers.margin! > 0.5);
  });
});

describe('rewards', () => {
  const reward = {
    name: 'reward',
    method: 'reward',
    data: pairs,
    reward: { margins: 'small' },
    training: { steps: 20, batch: 4, learningRate: 0.003 },
  };

  test('a reward model tells chosen from rejected, its accuracy is said by rating', async () => {
    const run = await ran(reward, 'reward');
    const { numbers } = run.metrics.at(-1)!;
    deepEqual(
      ['accuracy', 'accuracy significantly', 'accuracy better', 'accuracy slightly', 'accuracy negligibly'].map(
        (name) => numbers[name],
      ),
      [1, 1, 1, 1, 1],
    );
    ok(numbers.scoreDifference! > 1);
  });

  test('rejection sampling by that reward model keeps the best of all rounds', async () => {
    const run = await ran(
      {
        name: 'rejection',
        method: 'rejection',
        data: { ...prompts, asChat: true },
        judge: { helpfulness: at('reward') },
        sampling: { ...sampling, answers: 6 },
        rejection: { rounds: 2 },
        training: { steps: 5, batch: 4, learningRate: 0.002 },
      },
      'rejection',
    );
    equal(run.metrics.length, 10);
    const best = (round: number) =>
      JSON.parse(readFileSync(join(at('rejection'), `best-answers-${round}.json`), 'utf8')) as {
        prompt: number;
        score: number;
        text: string;
      }[];
    equal(best(1).length, 4);
    for (const { prompt, score } of best(2)) ok(score >= best(1).find((answer) => answer.prompt === prompt)!.score);
    ok(
      best(2).every(({ text }) => text.includes('wood')),
      JSON.stringify(best(2)),
    );
    ok(run.metrics.at(-1)!.numbers.score! > run.metrics[0]!.numbers.score!);
  });

  test('ppo by Llama 2’s two reward models runs, and begins at ratio 1 and KL 0', async () => {
    const run = await ran(
      {
        name: 'ppo2',
        method: 'ppo',
        data: { ...prompts, asChat: true },
        judge: { helpfulness: at('reward'), safety: at('reward') },
        sampling,
        ppo: { iterations: 2, prompts: 8, minibatch: 4 },
        training: { learningRate: 0.0005, schedule: 'constant', warmup: 0 },
      },
      'ppo2',
    );
    equal(run.metrics[0]!.numbers.kl, 0);
    ok(run.metrics.every(({ alarms }) => !alarms.some((alarm) => alarm.includes('ratio'))));
  });
});

const rule = { rule: 'avoids', words: ['hill'] };
const ppo = {
  name: 'ppo',
  method: 'ppo',
  data: { ...prompts, asChat: true },
  judge: rule,
  sampling,
  ppo: { iterations: 12, prompts: 32, minibatch: 16, beta: 0.02 },
  training: { learningRate: 0.002, schedule: 'constant', warmup: 0 },
};

test('ppo: the reward of the answers rises, the KL to the reference stays bounded', async () => {
  const run = await ran(ppo, 'ppo');
  const [before, behind] = [mean(run, 'score', 0, 2), mean(run, 'score', -3)];
  ok(behind > before + 0.2 && behind > 0.85, `${before} → ${behind}`);
  ok(run.metrics.every(({ numbers }) => numbers.kl! < 20));
  deepEqual(
    run.metrics.flatMap(({ alarms }) => alarms.filter((alarm) => alarm.includes('ratio'))),
    [],
  );
});

test('ppo, stopped and resumed, goes on to the same bits', async () => {
  const short = { ...ppo, ppo: { ...ppo.ppo, iterations: 4 } };
  await ran(short, 'ppo-whole');
  await tune(at, { model, output: outputOf(short), ...short }, { out: 'ppo-cut', stopAfter: 2 });
  const resumed = await tune(at, { model, output: outputOf(short), ...short }, { out: 'ppo-cut', words: ['--resume'] });
  equal(resumed.status, 0, resumed.stderr);
  const file = (out: string) => digestOf(join(at(out), 'checkpoints', 'step-00000004', 'model.safetensors'));
  equal(file('ppo-cut'), file('ppo-whole'));
});

test('grpo: groups of answers by a rule; groups without spread are counted', async () => {
  const run = await ran(
    {
      name: 'grpo',
      method: 'grpo',
      data: { ...prompts, asChat: true },
      judge: rule,
      sampling: { ...sampling, answers: 8 },
      grpo: { iterations: 12, prompts: 4, beta: 0.02 },
      training: { learningRate: 0.002, schedule: 'constant', warmup: 0 },
    },
    'grpo',
  );
  ok(
    mean(run, 'score', -3) > mean(run, 'score', 0, 2) + 0.2,
    `${mean(run, 'score', 0, 2)} → ${mean(run, 'score', -3)}`,
  );
  ok(run.metrics.every(({ numbers }) => numbers.groupsWithoutSpread! >= 0 && numbers.groupsWithoutSpread! <= 1));
});

test('rejection sampling, stopped in the middle of its rounds and resumed, goes on to the same bits', async () => {
  const recipe = {
    name: 'rounds',
    method: 'rejection',
    data: { ...prompts, asChat: true },
    judge: rule,
    sampling: { ...sampling, answers: 3 },
    rejection: { rounds: 2 },
    training: { steps: 3, batch: 4, learningRate: 0.002 },
  };
  await ran(recipe, 'rounds-whole');
  // In the first round, then in the second.
  for (let part = 0; part < 2; part++) {
    await tune(
      at,
      { model, output: outputOf(recipe), ...recipe },
      { out: 'rounds-cut', stopAfter: 2, words: ['--resume'] },
    );
  }
  const resumed = await tune(
    at,
    { model, output: outputOf(recipe), ...recipe },
    { out: 'rounds-cut', words: ['--resume'] },
  );
  equal(resumed.status, 0, resumed.stderr);
  const file = (out: string) => digestOf(join(at(out), 'checkpoints', 'step-00000006', 'model.safetensors'));
  equal(file('rounds-cut'), file('rounds-whole'));
});

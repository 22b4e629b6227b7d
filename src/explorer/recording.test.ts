import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig } from '../../test/support/tiny-model.ts';
import { traceNames } from '../inference/observe.ts';
import { dimensions, type LlamaConfig } from '../model/config.ts';
import { listParameters, parameterCount } from '../model/parameters.ts';
import { presets } from '../model/presets.ts';
import { diagramOf } from './diagram.ts';
import { multiplyAdds, record } from './recording.ts';

const lab: Readonly<Record<string, LlamaConfig>> = {
  llama: tinyConfig,
  'GPT-2': { ...tinyConfig, norm: 'layer', positions: 'learned', activation: 'gelu', attentionBias: true },
  'original transformer': {
    ...tinyConfig,
    norm: 'layer',
    normPlacement: 'after',
    positions: 'sinusoidal',
    activation: 'relu',
  },
  MQA: { ...tinyConfig, kvHeadCount: 1 },
  experts: {
    ...tinyConfig,
    experts: {
      count: 4,
      used: 2,
      width: 16,
      weights: 'chosen',
      weighs: 'results',
      shared: null,
      blocks: null,
      bias: true,
    },
  },
  OLMo: { ...tinyConfig, normPlacement: 'output', qkNorm: 'row', tiedEmbeddings: true },
  sliding: { ...tinyConfig, slidingWindow: 4, slidingBlocks: [true, false], slidingTheta: 100, attentionSinks: true },
};

for (const [name, config] of Object.entries(lab)) {
  test(`${name}: one graph leads from the ids to the logits, through every parameter, and its names are those of trace()`, () => {
    const steps = record(config);
    const made = /^hidden|^probabilities$|attention\.(scores|probabilities|heads)$/;
    deepStrictEqual(
      [...steps.flatMap(({ names }) => names)].sort(),
      traceNames(config)
        .filter((each) => !made.test(each))
        .sort(),
    );
    const read = new Set(steps.flatMap(({ parameters }) => parameters.map((parameter) => parameter.name)));
    deepStrictEqual(
      [...read].sort(),
      listParameters(config)
        .map((parameter) => parameter.name)
        .sort(),
    );
    // Backwards from the logits, everything is reached: nothing is computed in vain.
    const reached = new Set<number>();
    const visit = (index: number) => {
      if (reached.has(index)) return;
      reached.add(index);
      for (const from of steps[index]!.from) visit(from);
    };
    visit(steps.length - 1);
    ok(steps.at(-1)!.names.includes('logits'));
    strictEqual(reached.size, steps.length);
    const sizes = dimensions(config);
    for (const { letters, shape } of steps) {
      const last = letters.at(-1)!;
      if (last in sizes) strictEqual(shape.at(-1), sizes[last as keyof typeof sizes]);
    }
  });
}

test('the picture of a block: each box below those that lead to it, other blocks as one box', () => {
  const { boxes, arrows, layers, widest } = diagramOf(tinyConfig, 1);
  const of = new Map(boxes.map((box) => [box.id, box]));
  for (const [from, to] of arrows) ok(of.get(from)!.layer < of.get(to)!.layer, `${from} → ${to}`);
  strictEqual(boxes.filter(({ kind }) => kind === 'block').length, 1);
  strictEqual(new Set(boxes.map(({ layer, place }) => `${layer} ${place}`)).size, boxes.length);
  deepStrictEqual([boxes[0]!.kind, boxes.at(-1)!.name], ['ids', 'logits']);
  ok(layers > 10 && widest === 3);
  const parameters = boxes.flatMap((box) => box.parameters);
  const count = parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  strictEqual(count, parameterCount(tinyConfig));
});

test('multiply-adds: the papers’ formula, with and without a cache', () => {
  const config = presets['llama-7b'];
  const { D, Q, P, F, V } = dimensions(config);
  const matrices = config.blockCount * (2 * D * Q + 2 * D * P + 3 * D * F) + D * V;
  strictEqual(multiplyAdds(config, { tokens: 1, cached: 99 }), matrices + config.blockCount * 2 * 100 * Q);
  strictEqual(multiplyAdds(config, { tokens: 10 }), 10 * matrices + config.blockCount * 2 * 55 * Q);
});

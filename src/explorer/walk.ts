/** The order of the walk: which activations each step shows, and which scene tells more. */
import { traceNames } from '../inference/observe.ts';
import type { LlamaConfig } from '../model/config.ts';
import { record, type Step, shapeInWords } from './recording.ts';

export const sceneKeys = [
  'map',
  'tokens',
  'embedding',
  'norms',
  'factory',
  'projections',
  'rope',
  'attention',
  'sharing',
  'cache',
  'swiglu',
  'stream',
  'choice',
  'walk',
] as const;
export type SceneKey = (typeof sceneKeys)[number];

const walk = {
  tokens: { scene: 'tokens', names: [] },
  embedding: { scene: 'embedding', names: ['embedding'] },
  norm: { scene: 'norms', names: ['attention.input'] },
  project: { scene: 'projections', names: ['attention.queriesPlain', 'attention.keysPlain', 'attention.values'] },
  rotate: { scene: 'rope', names: ['attention.queries', 'attention.keys'] },
  attend: { scene: 'attention', names: ['attention.scores', 'attention.probabilities', 'attention.mix'] },
  join: { scene: 'stream', names: ['attention.output', 'afterAttention'] },
  feedForward: {
    scene: 'swiglu',
    names: ['feedForward.gate', 'feedForward.up', 'feedForward.hidden', 'feedForward.output', 'output'],
  },
  head: { scene: 'choice', names: ['norm', 'logits'] },
  choose: { scene: 'choice', names: ['probabilities'] },
} as const satisfies Record<string, { readonly scene: SceneKey; readonly names: readonly string[] }>;

export type StepKey = keyof typeof walk;
export const stepKeys = Object.keys(walk) as readonly StepKey[];

export interface WalkStep {
  readonly key: StepKey;
  readonly scene: SceneKey;
  /** Of this model, in this block; a model without rotation or gate has fewer. */
  readonly names: readonly string[];
}

export function walkOf(config: LlamaConfig, block: number): WalkStep[] {
  const known = new Set(traceNames(config));
  return stepKeys.map((key) => {
    const { scene, names } = walk[key];
    const own = names.map((name) => (known.has(name) ? name : `blocks.${block}.${name}`));
    return { key, scene, names: own.filter((name) => known.has(name)) };
  });
}

export interface NamedShape {
  readonly letters: string;
  readonly numbers: string;
}

/** The shape of every activation by its name: 'N·D', '8 × 256'. The made ones are not in the record of forward(). */
export function shapesOf(config: LlamaConfig, tokens: number): ReadonlyMap<string, NamedShape> {
  const shapes = new Map<string, NamedShape>();
  for (const step of record(config, { tokens })) for (const name of step.names) shapes.set(name, shapeInWords(step));
  const { headCount: H, width: D, vocabSize: V, blockCount } = config;
  const add = (name: string, letters: Step['letters'], shape: readonly number[]) =>
    shapes.set(name, shapeInWords({ letters, shape }));
  for (let i = 0; i < blockCount; i++) {
    for (const part of ['scores', 'probabilities'])
      add(`blocks.${i}.attention.${part}`, ['H', 'N', 'N'], [H, tokens, tokens]);
    add(`blocks.${i}.attention.heads`, ['H', 'N', 'D'], [H, tokens, D]);
  }
  for (let i = 0; i <= blockCount; i++) {
    add(`hidden.${i}`, ['N', 'D'], [tokens, D]);
    add(`hidden.${i}.logits`, ['N', 'V'], [tokens, V]);
  }
  add('hidden.norm', ['N', 'D'], [tokens, D]);
  add('probabilities', ['N', 'V'], [tokens, V]);
  return shapes;
}

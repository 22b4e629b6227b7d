/** What reading and writing have in common: a relative's facts, in order, and whether a file would say what a configuration is. */
import { type LlamaConfig, paperChoices } from '../config.ts';
import { noWindow } from './blocks.ts';
import { commonFacts } from './common.ts';
import type { Fact, Relative } from './relative.ts';
import { rope } from './rope.ts';

/** The facts that every LLaMA's files state, those of its own in their place, and then its others. */
export function factsOf({ facts = [] }: Relative): Fact[] {
  const common = [...commonFacts, rope(), noWindow];
  const replaces = (own: Fact, other: Fact) => other.fields.some((field) => own.fields.includes(field));
  const kept = common.map((fact) => facts.find((own) => replaces(own, fact)) ?? fact);
  return [...new Set([...kept, ...facts])];
}

/** A configuration from the family's choices and what `read` finds for each fact. */
export function fillFacts(
  relative: Relative,
  read: (fact: Fact, known: LlamaConfig) => Partial<LlamaConfig>,
): LlamaConfig {
  let known = { ...paperChoices, ...relative.choices, family: relative.name } as LlamaConfig;
  for (const fact of factsOf(relative)) known = { ...known, ...read(fact, known) };
  return known;
}

/** Facts of a configuration that another does not have, in words; numbers may differ as f32 does. The family does not count. */
export function differences(wanted: LlamaConfig, found: LlamaConfig): string[] {
  const comparable = (_: string, value: unknown) => {
    if (typeof value === 'number') return Math.fround(value);
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isRecord ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  };
  const text = (value: unknown) => JSON.stringify(value, comparable);
  return (Object.keys(wanted) as (keyof LlamaConfig)[])
    .filter((key) => key !== 'family' && text(wanted[key]) !== text(found[key]))
    .map((key) => `${key} is ${JSON.stringify(wanted[key])}, expected ${JSON.stringify(found[key])}`);
}

/** generation_config.json: ids, and suggestions that nobody is bound by. */
import { type Json, parseJsonObject, show } from '../json.ts';
import { Facts } from './facts.ts';

export interface HfGeneration {
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  /** Sampling defaults that the model's makers suggest, as they spell them (temperature, top_p, …). */
  readonly suggestions: ReadonlyMap<string, Json>;
}

export function parseGenerationConfig(file: string, text: string): HfGeneration {
  const json = parseJsonObject(file, text);
  const facts = new Facts(file, json);
  const bosId = readIds(facts, 'bos_token_id')[0] ?? null;
  const eosIds = readIds(facts, 'eos_token_id');
  const suggestions = new Map(Object.entries(json).filter(([key]) => key !== 'bos_token_id' && key !== 'eos_token_id'));
  facts.ignore(Object.keys(json));
  facts.finish();
  return { bosId, eosIds, suggestions };
}

/** A token id, a list of them, or nothing. */
export function readIds(facts: Facts, key: string): readonly number[] {
  const value = facts.take(key);
  const ids = value === null ? [] : Array.isArray(value) ? value : [value];
  if (ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0)) return ids as number[];
  facts.problem(key, `is ${show(value)}, expected a token id or a list of them`);
  return [];
}

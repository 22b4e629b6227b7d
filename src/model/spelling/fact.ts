/** Makes facts: a number, a flag, a value that is always the same. */

import { shortestF32 } from '../checkpoint/shortest.ts';
import type { LlamaConfig } from '../config.ts';
import type { Fact, GgufEntry } from './relative.ts';

type FieldOf<Value> = { [key in keyof LlamaConfig]: LlamaConfig[key] extends Value ? key : never }[keyof LlamaConfig];
type NumberField = FieldOf<number | null>;

interface Spelled {
  /** null: the format does not say it. */
  readonly hf: string | null;
  readonly gguf: string | null;
}

const one = (field: keyof LlamaConfig, value: unknown) => ({ [field]: value }) as Partial<LlamaConfig>;

/** A whole number from 1. `otherwise`: where the key is absent; without it its absence is a problem. */
export function count(
  field: NumberField,
  { hf, gguf }: Spelled,
  otherwise: (known: LlamaConfig) => number | undefined = () => undefined,
): Fact {
  return {
    fields: [field],
    readHf: (keys, known) => (hf === null ? {} : one(field, keys.count(hf, otherwise(known)))),
    writeHf: (config) => (hf === null ? {} : { [hf]: config[field] }),
    readGguf: (keys, known) => (gguf === null ? {} : one(field, keys.count(gguf, otherwise(known)))),
    writeGguf: (config) => (gguf === null ? [] : [[gguf, 'u32', config[field] as number]]),
  };
}

/** A number. Where it is as the papers have it, GGUF files leave it out if it may be absent. */
export function number(field: NumberField, { hf, gguf }: Spelled, otherwise?: number): Fact {
  const read = (value: number) => one(field, value);
  return {
    fields: [field],
    readHf: (keys) => (hf === null ? {} : read(keys.number(hf, otherwise))),
    writeHf: (config) => (hf === null ? {} : { [hf]: config[field] }),
    readGguf: (keys) => (gguf === null ? {} : read(shortestF32(keys.number(gguf, otherwise)))),
    writeGguf: (config) => (gguf === null ? [] : [[gguf, 'f32', config[field] as number]]),
  };
}

/** A number, or none of it: absent, null or 0. */
export function numberOrNone(field: NumberField, { hf, gguf }: Spelled): Fact {
  return {
    fields: [field],
    readHf: (keys) => (hf === null ? {} : one(field, keys.numberOrNull(hf) || null)),
    writeHf: (config) => (hf === null ? {} : { [hf]: config[field] }),
    readGguf: (keys) => (gguf === null ? {} : one(field, shortestF32(keys.number(gguf, 0)) || null)),
    writeGguf: (config): GgufEntry[] =>
      gguf === null || config[field] === null ? [] : [[gguf, 'f32', config[field] as number]],
  };
}

/** Fields that follow from those before, said by no file. */
export function derived(
  fields: readonly (keyof LlamaConfig)[],
  derive: (known: LlamaConfig) => Partial<LlamaConfig>,
): Fact {
  return {
    fields,
    readHf: (_, known) => derive(known),
    writeHf: () => ({}),
    readGguf: (_, known) => derive(known),
    writeGguf: () => [],
  };
}

/** A key of the mathematics that says what is always so in this family. */
export function always(spelled: Spelled, accepted: readonly unknown[], why: string): Fact {
  const { hf, gguf } = spelled;
  return {
    fields: [],
    readHf: (keys) => {
      if (hf !== null) keys.only(hf, accepted, why);
      return {};
    },
    writeHf: () => ({}),
    readGguf: (keys) => {
      if (gguf !== null) keys.only(gguf, accepted, why);
      return {};
    },
    writeGguf: () => [],
  };
}

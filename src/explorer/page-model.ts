/**
 * What the explorer's page asks of a model. Two makers: `pageModelOf` for one in the same program (a page's worker), `servedModel` for one
 * behind a server, which answers by `answerCall`. Both give the same numbers.
 */
import { ArgumentError } from '../base/errors.ts';
import type { TraceSlice } from '../inference/observe.ts';
import type { NearRow } from '../inference/reading/parameters.ts';
import type { ModelFacts } from '../inference/remote/protocol.ts';
import { Traces } from '../inference/remote/traces.ts';
import { dimensions, type LlamaConfig } from '../model/config.ts';
import type { WordMerges } from '../tokenizer/encode/text-model.ts';
import type { ExplorerModel, PageSource } from './model.ts';

export type PageFacts = Pick<
  ModelFacts,
  'name' | 'config' | 'contextLength' | 'kvType' | 'parameterCount' | 'weightBytes' | 'dtypes' | 'dtypeOf' | 'device'
>;

export interface Reading {
  readonly ids: readonly number[];
  readonly words: readonly WordMerges[];
}

/** One sequence that the engine read and went on with, and how long that took. */
export interface Steps {
  /** The likeliest next tokens. */
  readonly ids: readonly number[];
  /** Tokens of the text that were computed, and those that the cache held from a time before. */
  readonly computed: number;
  readonly cached: number;
  readonly promptMs: number;
  /** A token after the first, whose keys and values are all that is added to the cache; null where the model ended at once. */
  readonly tokenMs: number | null;
}

/** Tokens after the first, over which the time of one is taken. */
export const STEPS = 8;

export interface PageModel {
  readonly facts: PageFacts;
  /** By id; null for a model without a tokenizer. */
  readonly pieces: readonly string[] | null;
  read(text: string): Promise<Reading>;
  trace(ids: readonly number[], names: readonly string[], slice: TraceSlice): Promise<Traces>;
  parameterRows(name: string, from: number, to: number): Promise<Float32Array>;
  nearestRows(name: string, row: number, count: number): Promise<readonly NearRow[]>;
  /** Reads the tokens and generates `STEPS` more than one. */
  decode(ids: readonly number[]): Promise<Steps>;
}

export function pageModelOf(model: PageSource): PageModel {
  const { name, config, contextLength, kvType, parameterCount, weightBytes, dtypes, dtypeOf, device } = model.facts;
  let pieces: string[] | null = null; // a whole vocabulary: listed when it is asked for
  return {
    facts: { name, config, contextLength, kvType, parameterCount, weightBytes, dtypes, dtypeOf, device },
    get pieces() {
      return (pieces ??= model.hasTokenizer ? piecesOf(model) : null);
    },
    read: async (text) => {
      const { tokenizer } = model;
      const ids = tokenizer.encode(text, { bos: tokenizer.addBos && tokenizer.bosId !== null });
      return { ids: [...ids], words: tokenizer.merges(text) };
    },
    trace: (ids, names, slice) => model.trace(ids, names, slice),
    parameterRows: (parameter, from, to) => model.parameterRows(parameter, from, to),
    nearestRows: (parameter, row, count) => model.nearestRows(parameter, row, count),
    decode: async (given) => {
      const { ids, timings } = await model.generate(given, { maxTokens: 1 + STEPS, temperature: 0 }).result;
      const { prompt_n, cache_n, prompt_ms, predicted_n, predicted_ms } = timings;
      return {
        ids: [...ids],
        computed: prompt_n,
        cached: cache_n,
        promptMs: prompt_ms,
        tokenMs: predicted_n > 1 ? predicted_ms / (predicted_n - 1) : null,
      };
    },
  };
}

function piecesOf({ tokenizer, config }: ExplorerModel): string[] {
  const known = Math.min(tokenizer.vocabSize, config.vocabSize);
  return Array.from({ length: config.vocabSize }, (_, id) => (id < known ? tokenizer.pieceOf(id) : `<${id}>`));
}

/** One question of a page, as JSON. */
export type PageCall =
  | { readonly method: 'model' }
  | { readonly method: 'read'; readonly text: string }
  | {
      readonly method: 'trace';
      readonly ids: readonly number[];
      readonly names: readonly string[];
      readonly slice: TraceSlice;
    }
  | { readonly method: 'parameterRows'; readonly name: string; readonly from: number; readonly to: number }
  | { readonly method: 'nearestRows'; readonly name: string; readonly row: number; readonly count: number }
  | { readonly method: 'decode'; readonly ids: readonly number[] };

/** Numbers of one answer at most: 256 MiB. */
const MOST_NUMBERS = 1 << 26;
const MOST_TEXT = 1 << 16;

/** The bytes of the answer. Throws ArgumentError `explore.call` for what is no question, and what the model throws. */
export async function answerCall(model: PageSource, call: unknown): Promise<Uint8Array<ArrayBuffer>> {
  const page = pageModelOf(model);
  const asked = checked(call);
  switch (asked.method) {
    case 'model':
      return pack({ facts: page.facts, pieces: page.pieces }, []);
    case 'read':
      return pack(await page.read(asked.text), []);
    case 'trace': {
      checkSize(model.config, asked);
      const traces = await page.trace(asked.ids, asked.names, asked.slice);
      const entries = [...traces].map(([name, { shape }]) => ({ name, shape }));
      return pack(
        { entries },
        [...traces.values()].map(({ data }) => data),
      );
    }
    case 'parameterRows':
      return pack({}, [await page.parameterRows(asked.name, asked.from, asked.to)]);
    case 'nearestRows':
      return pack(await page.nearestRows(asked.name, asked.row, asked.count), []);
    case 'decode':
      return pack(await page.decode(asked.ids), []);
    default:
      return asked satisfies never;
  }
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'number');
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

/** A stranger's JSON as a question. */
function checked(call: unknown): PageCall {
  const given = (typeof call === 'object' && call !== null ? call : {}) as Record<string, unknown>;
  const { method, text, ids, names, name, from, to, row, count } = given;
  if (method === 'model') return { method };
  if (method === 'read' && typeof text === 'string' && text.length <= MOST_TEXT) return { method, text };
  if (method === 'parameterRows' && typeof name === 'string' && typeof from === 'number' && typeof to === 'number') {
    if (to - from <= 4096) return { method, name, from, to };
  }
  if (method === 'nearestRows' && typeof name === 'string' && typeof row === 'number' && typeof count === 'number') {
    return { method, name, row, count: Math.min(count, 100) };
  }
  if (method === 'decode' && isNumbers(ids)) return { method, ids };
  const slice = sliceOf(given.slice);
  if (method === 'trace' && isNumbers(ids) && isTexts(names) && slice) return { method, ids, names, slice };
  throw new ArgumentError(
    'explore.call',
    `explore: expected { method: "model" | "read" | "trace" | "parameterRows" | "nearestRows" | "decode", … } with its arguments, found ${String(JSON.stringify(call)).slice(0, 200)}.`,
  );
}

function sliceOf(value: unknown): TraceSlice | null {
  const { rows, heads, without, keyGroups } = (value ?? {}) as Record<string, unknown>;
  if (rows !== undefined && !isNumbers(rows)) return null;
  if (heads !== undefined && !isNumbers(heads)) return null;
  if (without !== undefined && !isTexts(without)) return null;
  if (keyGroups !== undefined && typeof keyGroups !== 'number') return null;
  return { rows, heads, without, keyGroups };
}

/** An upper bound of what is asked for, before anything is computed. */
function checkSize(config: LlamaConfig, { ids, names, slice }: Extract<PageCall, { method: 'trace' }>): void {
  const { D, Q, F, V, H } = dimensions(config);
  const rows = slice.rows?.length ?? ids.length;
  const heads = slice.heads?.length ?? H;
  const of = (name: string) => {
    const each = name.includes('*') ? config.blockCount : 1;
    if (/logits|probabilities$/.test(name) && !name.includes('attention')) return each * rows * V;
    if (/scores|probabilities/.test(name)) return each * heads * rows * ids.length;
    if (/heads/.test(name)) return each * heads * rows * D;
    return each * rows * Math.max(D, Q, F) * (name.endsWith('*') ? 20 : 1);
  };
  const numbers = names.reduce((sum, name) => sum + of(name), 0);
  if (numbers <= MOST_NUMBERS) return;
  throw new ArgumentError(
    'explore.size',
    `explore: these activations hold about ${numbers} numbers, expected at most ${MOST_NUMBERS} in one answer. Ask for fewer rows or heads.`,
  );
}

/** Length of the JSON (u32), the JSON filled up to whole words, and the numbers (f32), little-endian. */
function pack(json: unknown, numbers: readonly Float32Array[]): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(JSON.stringify(json));
  const from = 4 + Math.ceil(head.length / 4) * 4;
  const bytes = new Uint8Array(from + numbers.reduce((sum, { byteLength }) => sum + byteLength, 0));
  new DataView(bytes.buffer).setUint32(0, head.length, true);
  bytes.fill(0x20, 4 + head.length, from).set(head, 4);
  let at = from;
  for (const each of numbers) {
    bytes.set(new Uint8Array(each.buffer, each.byteOffset, each.byteLength), at);
    at += each.byteLength;
  }
  return bytes;
}

function unpack(buffer: ArrayBuffer): { json: unknown; numbers: Float32Array } {
  const length = new DataView(buffer).getUint32(0, true);
  const json: unknown = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { json, numbers: new Float32Array(buffer, 4 + Math.ceil(length / 4) * 4) };
}

/** A model behind a server: `ask` sends a question and gets the bytes of the answer, or throws. */
export async function servedModel(ask: (call: PageCall) => Promise<ArrayBuffer>): Promise<PageModel> {
  const askJson = async <T>(call: PageCall) => unpack(await ask(call)).json as T;
  const { facts, pieces } = await askJson<{ facts: PageFacts; pieces: string[] | null }>({ method: 'model' });
  return {
    facts,
    pieces,
    read: (text) => askJson({ method: 'read', text }),
    trace: async (ids, names, slice) => {
      const { json, numbers } = unpack(await ask({ method: 'trace', ids, names, slice }));
      let at = 0;
      const traces = (json as { entries: { name: string; shape: number[] }[] }).entries.map(({ name, shape }) => {
        const count = shape.reduce((a, b) => a * b, 1);
        return [name, { shape, data: numbers.slice(at, (at += count)) }] as const;
      });
      return new Traces(traces);
    },
    parameterRows: async (name, from, to) => unpack(await ask({ method: 'parameterRows', name, from, to })).numbers,
    nearestRows: (name, row, count) => askJson({ method: 'nearestRows', name, row, count }),
    decode: (ids) => askJson({ method: 'decode', ids }),
  };
}

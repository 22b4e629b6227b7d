import { ArgumentError } from '../../base/errors.ts';
import { deviceKinds } from '../../devices/device.ts';
import { type KvType, kvTypes } from '../../kernels/ops.ts';
import type { Usual } from '../../model/adapter/select.ts';
import { EngineClient, type EnginePort } from './client.ts';
import type { LoadProgress, LoadSettings, ModelFacts, Source } from './protocol.ts';

export interface LoadOptions {
  /** 'auto' (the default) is the faster of wasm and webgpu, which is measured once and remembered. */
  readonly device?: 'auto' | 'wasm' | 'webgpu' | 'reference';
  /** Threads that compute; absent: one per physical core. */
  readonly threads?: number;
  /** Matrix products of long prompts by the system's BLAS, where it is faster than our kernels; their bits may then differ. */
  readonly blas?: boolean;
  /** 256-bit kernels where this engine has them (Node on x64); absent: yes. The bits do not change. */
  readonly revectorize?: boolean;
  /** Machine code of our own instead of WebAssembly (Node on x64 Linux with AVX-512 VNNI); absent: yes. The bits do not change. */
  readonly native?: boolean;
  /** Longest sequence, prompt and generated text together; absent: the model's own, up to DEFAULT_CONTEXT. */
  readonly contextLength?: number;
  /** How keys and values are kept; absent: f32 for a model stored in f32, f16 for others. */
  readonly kvType?: KvType;
  /** Tokens that the cache holds of all sequences together; absent: one context. */
  readonly cacheTokens?: number;
  /** Rows of one batch at most. */
  readonly batchTokens?: number;
  /** Sequences that run at the same time at most; the others wait. */
  readonly maxSequences?: number;
  /** A folder where what was read is kept, for this program and others; absent: it is forgotten. */
  readonly cacheDir?: string;
  /** Bytes that the folder holds at most; absent: DEFAULT_KEPT_BYTES. */
  readonly cacheDirBytes?: number;
  /** Bytes of weights in one of the engine's memories, which end at 4 GiB with their caches; absent: 2.75 GiB. For tests. */
  readonly segmentBytes?: number;
  /** Keys of config.json, or of a GGUF file's architecture, that are read as if they were not there. */
  readonly ignoreKeys?: readonly string[];
  /** How a GGUF vocabulary cuts text into words ('llama-bpe', 'qwen2' …), in place of what the file says. */
  readonly pre?: string;
  /** For texts longer than the model was made for: 'dynamic', 'linear:2', 'yarn:4'; absent: as its files say. */
  readonly ropeScaling?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

export interface EngineOptions extends LoadOptions {
  /** Adapters that correct the model, PEFT's or llama.cpp's; several may be used at once, or each by calls of its own. */
  readonly adapters?: readonly AdapterOption[];
  /** What guesses tokens ahead, which saves time and changes no text; absent: nothing. */
  readonly draft?: DraftOption;
}

export interface DraftOption {
  /** Whether guesses are looked up in the text so far. */
  readonly lookUp: boolean;
  /** Where a smaller model of the same vocabulary is; null: none. */
  readonly model: Source | null;
}

export interface AdapterOption {
  /** Where it is: a path, a URL, or files by name, as the model's source may be. */
  readonly source: Source;
  /** What calls name it by. */
  readonly name: string;
  /** Multiplies its own scale; absent: 1. */
  readonly scale?: number;
  /** Whether it is used where a call does not name its adapters; 'chat': where a conversation is answered. Absent: yes. */
  readonly usual?: Usual;
}

/** Of a folder of what was read. */
export const DEFAULT_KEPT_BYTES = 8 * 2 ** 30;

const knownOptions = [
  'device',
  'threads',
  'blas',
  'revectorize',
  'native',
  'contextLength',
  'kvType',
  'cacheTokens',
  'batchTokens',
  'maxSequences',
  'segmentBytes',
  'ignoreKeys',
  'pre',
  'ropeScaling',
  'adapters',
  'draft',
  'cacheDir',
  'cacheDirBytes',
  'signal',
  'onProgress',
];

/** Loads a model into a new worker. An abort ends the worker at once. */
export async function loadRemote(
  createPort: () => EnginePort,
  source: Source,
  options: EngineOptions,
): Promise<{ readonly client: EngineClient; readonly facts: ModelFacts }> {
  const settings = loadSettings(options);
  const { signal, onProgress = () => {} } = options;
  signal?.throwIfAborted();
  const client = new EngineClient(createPort());
  const abort = () => void client.terminate(signal!.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return { client, facts: await client.call('load', [source, settings], { onEvent: onProgress }) };
  } catch (error) {
    await client.terminate(error as Error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Throws ArgumentError `load.options`, with all problems. */
export function loadSettings(options: EngineOptions): LoadSettings {
  const {
    device = 'auto',
    threads,
    blas = false,
    revectorize = true,
    native = true,
    contextLength,
    kvType,
    cacheTokens,
    batchTokens,
    maxSequences,
    segmentBytes,
    ignoreKeys,
    pre,
    ropeScaling,
    adapters = [],
    draft = null,
    cacheDir,
    cacheDirBytes,
  } = options;
  const problems: string[] = [];
  for (const name of Object.keys(options)) if (!knownOptions.includes(name)) problems.push(`${name} is not an option`);
  if (device !== 'auto' && !deviceKinds.includes(device)) {
    problems.push(`device is ${String(device)}, expected auto or one of ${deviceKinds.join(', ')}`);
  }
  const count = (name: string, value: number | undefined) => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      problems.push(`${name} is ${String(value)}, expected a whole number of at least 1`);
    }
  };
  count('threads', threads);
  count('contextLength', contextLength);
  count('cacheTokens', cacheTokens);
  count('batchTokens', batchTokens);
  count('maxSequences', maxSequences);
  count('segmentBytes', segmentBytes);
  count('cacheDirBytes', cacheDirBytes);
  if (cacheDir !== undefined && (typeof cacheDir !== 'string' || cacheDir === '')) {
    problems.push(`cacheDir is ${JSON.stringify(cacheDir)}, expected the path of a folder`);
  }
  if (kvType !== undefined && !kvTypes.includes(kvType)) {
    problems.push(`kvType is ${String(kvType)}, expected ${kvTypes.join(', ')}`);
  }
  const isTexts = Array.isArray(ignoreKeys) && ignoreKeys.every((key) => typeof key === 'string');
  if (ignoreKeys !== undefined && !isTexts) problems.push('ignoreKeys is no list of texts');
  if (pre !== undefined && typeof pre !== 'string') problems.push(`pre is ${String(pre)}, expected a text`);
  if (ropeScaling !== undefined && typeof ropeScaling !== 'string')
    problems.push(`ropeScaling is ${String(ropeScaling)}, expected a text`);
  problems.push(...adapterProblems(adapters));
  if (problems.length > 0) {
    throw new ArgumentError(
      'load.options',
      `load: ${problems.join('; ')}. The options are ${knownOptions.join(', ')}.`,
    );
  }
  return {
    device,
    blas,
    revectorize,
    native,
    threads: threads ?? null,
    contextLength: contextLength ?? null,
    kvType: kvType ?? null,
    cacheTokens: cacheTokens ?? null,
    batchTokens: batchTokens ?? null,
    maxSequences: maxSequences ?? null,
    segmentBytes: segmentBytes ?? null,
    adapters: adapters.map(({ name, source, scale = 1, usual = true }) => ({ name, source, scale, usual })),
    draft,
    keep: cacheDir === undefined ? null : { folder: cacheDir, mostBytes: cacheDirBytes ?? DEFAULT_KEPT_BYTES },
    open: {
      ...(ignoreKeys !== undefined && { ignoreKeys }),
      ...(pre !== undefined && { pre }),
      ...(ropeScaling !== undefined && { ropeScaling }),
    },
  };
}

function adapterProblems(adapters: readonly AdapterOption[]): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  for (const { name, scale = 1 } of adapters) {
    if (names.has(name)) problems.push(`two adapters are called ${JSON.stringify(name)}`);
    names.add(name);
    if (typeof name !== 'string' || name === '') problems.push('an adapter has no name');
    if (!Number.isFinite(scale)) problems.push(`the scale of adapter ${name} is ${scale}, expected a number`);
  }
  return problems;
}

/** What to say when no model is named and none comes with the package. */
export function noBundledModel(): ArgumentError {
  return new ArgumentError(
    'load.no-source',
    'load: no model was named, and this build comes with none. Give a path to a GGUF or safetensors file, a folder, a URL or bytes: Llama.load("model.gguf").',
  );
}

/** A model from a URL, into memory: one file, or a Hugging Face folder by the names that such folders have. */
import { CriaError } from '../base/errors.ts';
import type { LoadProgress } from '../inference/remote/protocol.ts';
import { ChunkedFolder } from './chunked-source.ts';

/** What belongs to safetensors files and lies beside them. */
const companions = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'chat_template.json',
];
const INDEX = 'model.safetensors.index.json';

export interface Downloaded {
  readonly folder: ChunkedFolder;
  /** The file that was named; null: the folder. */
  readonly file: string | null;
}

/** `url` names a file, or, with a slash at its end, a folder. Throws CriaError `download.failed`. */
export async function download(url: string, onProgress: (progress: LoadProgress) => void): Promise<Downloaded> {
  const { pathname, host } = new URL(url);
  const named = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1));
  const files = new Map<string, Uint8Array[]>();
  const get = async (file: string) => {
    const chunks = await fetchChunks(new URL(encodeURIComponent(file), url).href, onProgress);
    if (chunks) files.set(file, chunks);
    return chunks;
  };
  if (named === '' || named.endsWith('.safetensors')) {
    for (const file of companions) await get(file);
    if (named !== '') await required(url, named);
    else {
      const index = await get(INDEX);
      if (!index) await required(new URL('model.safetensors', url).href, 'model.safetensors');
      else for (const shard of shardsOf(index)) await required(new URL(shard, url).href, shard);
    }
  } else await required(url, named);
  return {
    folder: new ChunkedFolder(named === '' ? host + pathname : named, files),
    file: named === '' ? null : named,
  };

  async function required(address: string, file: string): Promise<void> {
    const chunks = await fetchChunks(address, onProgress);
    if (!chunks) throw failed(address, 'the server answered 404, not found', 'Check the address.');
    files.set(file, chunks);
  }
}

/** An adapter: a GGUF file, or, with a slash at the address's end, PEFT's folder. Throws CriaError `download.failed`. */
export async function downloadAdapter(url: string, onProgress: (progress: LoadProgress) => void): Promise<Downloaded> {
  const { pathname, host } = new URL(url);
  if (!pathname.endsWith('/')) return download(url, onProgress);
  const files = new Map<string, Uint8Array[]>();
  for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
    const address = new URL(file, url).href;
    const chunks = await fetchChunks(address, onProgress);
    if (!chunks) throw failed(address, 'the server answered 404, not found', 'Check the address.');
    files.set(file, chunks);
  }
  return { folder: new ChunkedFolder(host + pathname, files), file: null };
}

/** The file names in a safetensors index. */
function shardsOf(index: readonly Uint8Array[]): string[] {
  const decoder = new TextDecoder();
  const text = index.map((chunk) => decoder.decode(chunk, { stream: true })).join('') + decoder.decode();
  const { weight_map = {} } = JSON.parse(text) as { weight_map?: Record<string, string> };
  return [...new Set(Object.values(weight_map))].filter((name) => /^[\w.-]+\.safetensors$/.test(name));
}

/** The body of an answer; null for 404. */
async function fetchChunks(url: string, onProgress: (progress: LoadProgress) => void): Promise<Uint8Array[] | null> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
    throw failed(url, `no answer (${reason})`, 'Check the address and the connection.', cause);
  }
  if (response.status === 404) return null;
  if (!response.ok || !response.body) {
    throw failed(
      url,
      `the server answered ${response.status} ${response.statusText}`,
      'Check the address, and whether it needs a login.',
    );
  }
  const length = Number(response.headers.get('content-length'));
  const total = length > 0 && !response.headers.has('content-encoding') ? length : null;
  const chunks: Uint8Array[] = [];
  let done = 0;
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      done += chunk.length;
      onProgress({ stage: 'download', done, total });
    }
  } catch (cause) {
    throw failed(url, `the connection broke after ${done} bytes`, 'Try again.', cause);
  }
  if (total !== null && done !== total) throw failed(url, `expected ${total} bytes, found ${done}`, 'Try again.');
  return chunks;
}

function failed(url: string, problem: string, advice: string, cause?: unknown): CriaError {
  return new CriaError('download.failed', `${url}: ${problem}, expected a model file. ${advice}`, { cause });
}

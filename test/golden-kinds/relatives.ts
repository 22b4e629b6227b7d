/**
 * golden/relatives: tiny random models of LLaMA's relatives, as GGUF, and what llama.cpp computes of them. On every device: the logits
 * of all positions, the greedy continuation through the engine and its cache; and the model written as a Hugging Face folder and as
 * GGUF again is the same model.
 */
import { deepStrictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../src/base/errors.ts';
import { readTensor } from '../../src/formats/file-tensor.ts';
import { MemoryFolder, MemorySource } from '../../src/formats/memory-source.ts';
import { MemorySink } from '../../src/formats/sink.ts';
import { batchOfSequences } from '../../src/kernels/batch.ts';
import type { Checkpoint } from '../../src/model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/model/checkpoint/open.ts';
import type { Conversion } from '../../src/model/checkpoint/write/convert.ts';
import { ggufFileTypes, writeGgufCheckpoint } from '../../src/model/checkpoint/write/write-gguf.ts';
import { writeHfCheckpoint } from '../../src/model/checkpoint/write/write-hf.ts';
import { forward } from '../../src/model/llama.ts';
import { loadModel } from '../../src/model/model.ts';
import { relatives } from '../../src/model/relatives/relatives.ts';
import { openCheckpointAt } from '../../src/platform/node/files.ts';
import { encodeRow } from '../../src/quant/rows.ts';
import { testDevices } from '../support/devices.ts';
import type { AnyGoldenKind } from '../support/golden-kinds.ts';
import { generate, tinyEngine } from '../support/tiny-model.ts';
import { weightsOf } from '../support/weights.ts';

interface RelativeCase {
  readonly ids: readonly number[];
  /** llama.cpp's context: some scalings of positions depend on it. */
  readonly context: number;
  readonly logits_f32_base64: string;
  readonly greedy: readonly number[];
}

/** f32 noise of both sides; llama.cpp looks GELU up in a table of f16, which is a thousand times as coarse. */
const NOISE = 1e-5;
const TABLE_NOISE = 2e-3;

const f32: Conversion = { typeOf: () => 'f32', encode: (dtype, weights, bytes) => encodeRow(dtype, weights, bytes) };

function throughGguf(checkpoint: Checkpoint): Checkpoint {
  const sink = new MemorySink();
  writeGgufCheckpoint(sink, checkpoint, { ...f32, fileType: ggufFileTypes.f32, tokenizer: new Map() });
  return openCheckpoint(new MemorySource('written.gguf', sink.bytes()));
}

function throughHf(checkpoint: Checkpoint): Checkpoint {
  const sinks = new Map<string, MemorySink>();
  const create = (file: string) => {
    const sink = new MemorySink();
    sinks.set(file, sink);
    return sink;
  };
  writeHfCheckpoint({ create }, checkpoint, { ...f32, maxShardBytes: 100_000 });
  return openCheckpoint(new MemoryFolder('written', new Map([...sinks].map(([file, sink]) => [file, sink.bytes()]))));
}

export const relativeKinds: readonly AnyGoldenKind[] = [
  {
    name: 'relatives',
    matches: ({ group }) => group === 'relatives',
    devices: testDevices,
    async run({ path }, check, device) {
      const expected = JSON.parse(readFileSync(join(path, 'expected.json'), 'utf8')) as RelativeCase;
      const checkpoint = openCheckpointAt(join(path, 'model.gguf'));
      try {
        const { config, tensors } = checkpoint;
        const here = await device();
        const model = loadModel(here, config, tensors, undefined, { runLength: expected.context });
        const logits = new Float32Array(Uint8Array.from(Buffer.from(expected.logits_f32_base64, 'base64')).buffer);
        const most = logits.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        const noise = config.activation === 'geglu-tanh' ? TABLE_NOISE : NOISE;
        const actual = await here.read(forward(model, here.ops, batchOfSequences([expected.ids])));
        check.close('logits', actual, logits, { atol: noise * most });
        const engine = tinyEngine(here, { model, contextLength: 64, batchTokens: 7 });
        const { ids } = await generate(engine, [...expected.ids], {
          temperature: 0,
          maxTokens: expected.greedy.length,
        });
        check.exact('greedy tokens', [...ids], expected.greedy);
      } finally {
        checkpoint.close();
      }
    },
  },
  {
    name: 'relatives, written and read again',
    matches: ({ group }) => group === 'relatives',
    devices: [],
    run({ path, title }, check) {
      const checkpoint = openCheckpointAt(join(path, 'model.gguf'));
      try {
        const gainsFromOne = /^gemma/.test(checkpoint.config.family);
        const hasHf = relatives.some(({ name, hf }) => name === checkpoint.config.family && hf !== null);
        if (!hasHf) throws(() => throughHf(checkpoint), ConfigError);
        const ways = hasHf ? [throughHf(checkpoint), throughGguf(throughHf(checkpoint))] : [];
        for (const again of [throughGguf(checkpoint), ...ways]) {
          check.exact('configuration', again.config, checkpoint.config);
          deepStrictEqual([...again.tensors.keys()], [...checkpoint.tensors.keys()], title);
          for (const [name, tensor] of checkpoint.tensors) {
            const isShifted = gainsFromOne && /norm_[DE]$/i.test(name);
            const written = again.tensors.get(name)!;
            // A gain that is stored less one loses its last bit.
            if (isShifted) check.close(name, weightsOf(written), weightsOf(tensor), { rtol: 2e-7 });
            else check.exact(name, readTensor(written), readTensor(tensor));
          }
        }
      } finally {
        checkpoint.close();
      }
    },
  },
];

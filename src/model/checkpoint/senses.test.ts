/** Models with more senses than text, as Hugging Face folders: their text part is read, the rest is left out. */
import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { goldenPath } from '../../../test/support/golden.ts';
import { weightsOf } from '../../../test/support/weights.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '../../formats/safetensors-write.ts';
import { MemorySink } from '../../formats/sink.ts';
import { openCheckpointAt } from '../../platform/node/files.ts';
import { encodeRow } from '../../quant/rows.ts';
import { openCheckpoint } from './open.ts';
import { writeHfCheckpoint } from './write/write-hf.ts';

/** Where transformers has put the text model, one release after the other. */
const prefixes: readonly ((name: string) => string)[] = [
  (name) => `language_model.${name}`,
  (name) => name.replace(/^model\./, 'model.language_model.'),
];

for (const [type, eyes, block] of [
  ['gemma3', 'vision_tower.encoder.weight', 6],
  ['llama4', 'vision_model.class_embedding', 4],
] as const) {
  test(`${type} with eyes: the text part under either of transformers' names`, () => withEyes(type, eyes, block));
}

function withEyes(type: string, eyes: string, lastBlock: number): void {
  const text = openCheckpointAt(goldenPath(`relatives/${type}/model.gguf`));
  const files = new Map<string, MemorySink>();
  const create = (file: string) => {
    const sink = new MemorySink();
    files.set(file, sink);
    return sink;
  };
  const encode = (dtype: 'f32', weights: Float32Array, bytes: Uint8Array) => encodeRow(dtype, weights, bytes);
  writeHfCheckpoint({ create }, text, { typeOf: () => 'f32', encode: encode as never, maxShardBytes: 1 << 30 });
  const json = JSON.parse(new TextDecoder().decode(files.get('config.json')!.bytes()));
  const { tensors } = readSafetensors(new MemorySource('model.safetensors', files.get('model.safetensors')!.bytes()));
  for (const rename of prefixes) {
    const renamed = [...tensors].map(([name, tensor]): NamedTensor => [rename(name), tensor]);
    const eye = { name: 'eye', dtype: 'f32', shape: [1, 4], readRows: () => {} } as const;
    const sink = new MemorySink();
    writeSafetensors(sink, [...renamed, [eyes, eye]]);
    const config = { model_type: type, text_config: json, vision_config: { hidden_size: 4 } };
    const opened = openCheckpoint(
      new MemoryFolder(
        'eyes',
        new Map([
          ['config.json', new TextEncoder().encode(JSON.stringify(config))],
          ['model.safetensors', sink.bytes()],
        ]),
      ),
    );
    deepStrictEqual(opened.config, text.config);
    for (const name of ['embed_VD', 'blocks.3.wq_QD', `blocks.${lastBlock}.wDown_DF`]) {
      deepStrictEqual(weightsOf(opened.tensors.get(name)!), weightsOf(text.tensors.get(name)!), name);
    }
  }
  text.close();
}

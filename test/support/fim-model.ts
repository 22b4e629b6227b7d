/** The small model, whose file says which of its tokens mark a gap: those of the bytes 1 to 5. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { readGguf } from '../../src/formats/gguf.ts';
import type { GgufField } from '../../src/formats/gguf-values.ts';
import { writeGguf } from '../../src/formats/gguf-write.ts';
import { MemorySink } from '../../src/formats/sink.ts';
import { openFile } from '../../src/platform/node/files.ts';
import { goldenPath } from './golden.ts';

const marks = { fim_pre: 4, fim_suf: 5, fim_mid: 6, fim_rep: 7, fim_sep: 8 };

/** Its path; gone after the file's tests. */
export function fimModel(): string {
  const gguf = readGguf(openFile(goldenPath('formats/gguf-llama-cpp-converter/model-f16.gguf')));
  const fields = Object.entries(marks).map(([name, value]): [string, GgufField] => [
    `tokenizer.ggml.${name}_token_id`,
    { type: 'u32', value },
  ]);
  const sink = new MemorySink();
  writeGguf(sink, new Map([...gguf.fields, ...fields]), [...gguf.tensors]);
  const folder = mkdtempSync(join(tmpdir(), 'cria-infill-'));
  after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'code.gguf'), sink.bytes());
  return join(folder, 'code.gguf');
}

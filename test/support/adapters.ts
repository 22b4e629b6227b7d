/** Adapters for tests: numbers by rule, written as files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemorySink } from '../../src/formats/sink.ts';
import { lowRankShapes, targetsOf } from '../../src/model/adapter/adapter.ts';
import { floatSource } from '../../src/model/adapter/sources.ts';
import { writeGgufAdapter } from '../../src/model/adapter/write-gguf-adapter.ts';
import { type WrittenAdapter, writePeft } from '../../src/model/adapter/write-peft.ts';
import type { LlamaConfig } from '../../src/model/config.ts';

export interface MadeAdapter {
  readonly seed: number;
  readonly size?: number;
  readonly rank?: number;
  readonly magnitudes?: boolean;
  readonly chatTemplate?: string;
}

function numbers(count: number, seed: number, size: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => size * Math.sin(1 + i * 1.7 + seed * 3.1));
}

/** A correction of every linear layer. */
export function madeAdapter(
  config: LlamaConfig,
  { seed, size = 0.3, rank = 3, magnitudes = false, chatTemplate }: MadeAdapter,
): WrittenAdapter {
  const layers = targetsOf(config)
    .filter(({ use }) => use === 'linear')
    .map((target, i) => {
      const shapes = lowRankShapes(target, rank);
      const source = (shape: readonly number[], more: number) =>
        floatSource(target.name, numbers(shape[0]! * shape[1]!, seed + more, size), shape);
      const lengths = numbers(target.shape[0]!, seed + i, 0.2).map((x) => 1 + x);
      const magnitude = magnitudes ? floatSource(target.name, lengths, [target.shape[0]!]) : null;
      return [target.name, { a: source(shapes.a, i), b: source(shapes.b, i + 0.5), magnitude, scale: 0.5 }] as const;
    });
  return { layers: new Map(layers), replaced: new Map(), ...(chatTemplate !== undefined && { chatTemplate }) };
}

/** Writes it: a name ending in .gguf is a file, any other a PEFT folder. */
export function writeAdapter(path: string, adapter: WrittenAdapter, config: LlamaConfig): string {
  if (path.endsWith('.gguf')) {
    const sink = new MemorySink();
    writeGgufAdapter(sink, adapter, config, { name: 'made', baseModel: null });
    writeFileSync(path, sink.bytes());
    return path;
  }
  mkdirSync(path, { recursive: true });
  const create = (file: string) => {
    const sink = new MemorySink();
    return {
      write: (bytes: Uint8Array) => sink.write(bytes),
      close: () => writeFileSync(join(path, file), sink.bytes()),
    };
  };
  writePeft({ create }, adapter, config, { baseModel: null });
  return path;
}

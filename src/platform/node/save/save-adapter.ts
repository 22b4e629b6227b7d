/** Writes an adapter: PEFT's folder, or llama.cpp's GGUF file. What is written appears under its name only when it is whole. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, resolve } from 'node:path';
import { CriaError } from '../../../base/errors.ts';
import { writeGgufAdapter } from '../../../model/adapter/write-gguf-adapter.ts';
import { type PeftOptions, type WrittenAdapter, writePeft } from '../../../model/adapter/write-peft.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { writeWholeFolder } from '../training/whole-folder.ts';

/** A name ending in .gguf is a file, any other a folder. Throws CriaError `save.exists`, UnsupportedError `adapter.gguf`. */
export function saveAdapter(path: string, adapter: WrittenAdapter, config: LlamaConfig, options: PeftOptions): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!path.toLowerCase().endsWith('.gguf')) {
    if (found && !(found.isDirectory() && readdirSync(path).length === 0))
      throw new CriaError('save.exists', `${path}: expected a new or an empty folder. Choose another name.`);
    writeWholeFolder(resolve(path), (folder) => writePeft(folder, adapter, config, options));
    return;
  }
  if (found?.isDirectory())
    throw new CriaError(
      'save.exists',
      `${path}: expected a file or nothing at this name, found a folder. Choose another name.`,
    );
  const temporary = `${resolve(path)}.${process.pid}.tmp`;
  const descriptor = openSync(temporary, 'w');
  try {
    const write = (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
    };
    const name = basename(path).replace(/\.gguf$/i, '');
    writeGgufAdapter({ write }, adapter, config, { name, ...options });
    fsyncSync(descriptor);
    renameSync(temporary, path);
  } finally {
    closeSync(descriptor);
    if (existsSync(temporary)) rmSync(temporary);
  }
}

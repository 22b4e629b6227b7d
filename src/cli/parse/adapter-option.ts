/** `--adapter [NAME=]PATH[:SCALE]` */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { modelOfRun } from '../../platform/node/training/run-checkpoint.ts';
import type { OptionSpec } from '../option-table.ts';

export interface AdapterWord {
  readonly name: string;
  readonly path: string;
  readonly scale: number;
}

export const adapterOption = {
  kind: 'texts',
  value: '[NAME=]PATH[:SCALE]',
  otherwise: 'the model as it is',
  help: "an adapter that corrects the model: PEFT's folder, a GGUF file or a run of cria finetune; several add up",
  check: (text: string) => (text === '' ? 'expected the path of an adapter' : null),
} as const satisfies OptionSpec;

/** A path that exists is a path, whatever is in its name. */
export function parseAdapter(text: string): AdapterWord {
  const [, before, number] = existsSync(text)
    ? []
    : (/^(.+):([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i.exec(text) ?? []);
  const named = before ?? text;
  const [, name, path] = existsSync(named) ? [] : (/^([\w.-]+)=(.+)$/.exec(named) ?? []);
  const place = resolve(path ?? named);
  return {
    name: name ?? basename(place).replace(/\.gguf$/i, ''),
    path: modelOfRun(place) ?? place,
    scale: number === undefined ? 1 : Number(number),
  };
}

/** The worker in which golden tests run as they are: it imports their files and tells what became of each test. */
import * as fs from './node-fs.ts';
import { type Outcome, runTests } from './node-test.ts';

export interface Wanted {
  readonly files: readonly string[];
  /** Of names. */
  readonly pattern: string;
}

export type Told = { readonly outcomes: readonly Outcome[] } | { readonly error: string };

Object.assign(globalThis, {
  process: { env: { CRIA_GPU_TESTS: 'all' }, cwd: () => '/', getBuiltinModule: () => fs },
  Buffer: { from: (text: string) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)) },
});

const scope = globalThis as unknown as {
  postMessage(told: Told): void;
  onmessage: (event: MessageEvent<Wanted>) => void;
};

scope.onmessage = async ({ data: { files, pattern } }) => {
  try {
    for (const file of files) await import(file);
    scope.postMessage({ outcomes: await runTests(new RegExp(pattern)) });
  } catch (error) {
    scope.postMessage({ error: String((error as Error).stack) });
  }
};

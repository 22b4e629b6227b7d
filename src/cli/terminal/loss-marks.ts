/** Samples as people look at them: what carries loss stands out, by colour on a terminal, in brackets elsewhere. */
import { harmless } from '../../base/harmless.ts';
import type { Output } from '../io.ts';

export interface MarkedText {
  readonly text: string;
  readonly carries: boolean;
}

const LOSS = '\x1b[1;32m';
const QUIET = '\x1b[2m';
const END = '\x1b[0m';

/** Line breaks inside of colours would colour the rest of the line in some pagers: each line is coloured for itself. */
export function markedLines(
  runs: readonly MarkedText[],
  output: Output,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const isColored = output.isTTY === true && env.NO_COLOR === undefined;
  return runs
    .map(({ text, carries }) => {
      const shown = harmless(text);
      if (!isColored) return carries ? `⟦${shown}⟧` : shown;
      return shown
        .split('\n')
        .map((line) => (line === '' ? '' : `${carries ? LOSS : QUIET}${line}${END}`))
        .join('\n');
    })
    .join('');
}

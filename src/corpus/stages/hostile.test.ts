import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { processorClock } from '../../../test/support/processor-time.ts';
import { sketch } from '../dedup/near.ts';
import { htmlToText } from '../readers/html-text.ts';
import { mainText } from '../readers/main-text/main-text.ts';
import { wikitextToProse } from '../readers/wikitext.ts';
import { stripGutenberg } from './books.ts';
import { c4Quality, c4Variants } from './c4.ts';
import { githubQuality, removeLicenceHeader } from './github.ts';
import { cleanLatex } from './latex.ts';
import { maskPersonalData } from './pii.ts';
import type { Stage } from './stage.ts';

/** One piece of markup after another, never closed: what makes patterns and nesting quadratic. */
const pieces =
  ` |(|.|1|1.|a@|+1 |-|/*|*|#\n|\n|\\|\\def\\a{|\\newcommand{\\a}[|\\iffalse\\if|\\begin{verbatim}|\\begin{comment}|<|<ref |[|[http://a |'|=|&#1|Mr. |?" |*** START |\\section|%|\\input{|"""|<!--|;|ab |{{|[[|<p>`.split(
    '|',
  );
const LENGTH = 200_000;
/** Linear work takes milliseconds here; what was quadratic took 10 s to minutes. A crowded machine is allowed for. */
const LIMIT_MS = 5000;

const rules = {
  licences: undefined,
  maximumLineLength: 1e9,
  maximumMeanLineLength: 1e9,
  minimumAlphanumericShare: 0,
  minimumLettersPerToken: undefined,
  extensions: undefined,
};
const stages: Stage[] = [
  cleanLatex({ withoutSection: 'keep', expandMacros: true }),
  c4Quality(c4Variants.paper),
  removeLicenceHeader(),
  githubQuality(rules),
  maskPersonalData(['email', 'ip', 'phone']),
  stripGutenberg(),
];
const passes: [name: string, run: (text: string) => void][] = [
  ['wikitext', wikitextToProse],
  ['html', htmlToText],
  ['main content', mainText],
  ['sketch', (text) => void sketch('x', text)],
  ...stages.map((stage): [string, (text: string) => void] => [
    stage.name,
    (text) => void stage.apply({ id: 'x', text, attributes: {} }, { removed: () => {} }),
  ]),
];

for (const [name, run] of passes) {
  test(`${name} stays linear on markup repeated without end`, () => {
    for (const piece of pieces) {
      const text = piece.repeat(Math.ceil(LENGTH / piece.length));
      const took = processorClock();
      run(text);
      const taken = took();
      ok(taken < LIMIT_MS, `${JSON.stringify(piece)}: ${taken.toFixed(0)} ms`);
    }
  });
}

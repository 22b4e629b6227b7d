/**
 * What is proved of the encoded samples before the first step: the beginning token, the end token, that the marks are where the
 * rendered text says, and how much carries loss. A claim that fails for all samples ends the run.
 */
import { ConfigError } from '../../base/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { EncodedSample } from './encode.ts';

export interface Proof {
  readonly facts: readonly (readonly [string, string])[];
  readonly warnings: readonly string[];
}

/** Samples whose marks are decoded again and compared. */
const DECODED = 200;

/** Throws ConfigError `finetune.proof`. */
export function proveSamples(name: string, samples: readonly EncodedSample[], tokenizer: Tokenizer): Proof {
  const problems: string[] = [];
  const warnings: string[] = [];
  const sum = (of: (sample: EncodedSample) => number) => samples.reduce((total, sample) => total + of(sample), 0);
  const tokens = sum(({ ids }) => ids.length);
  const loss = sum(lossTokens);
  const turns = sum((sample) => sample.turns);
  const ended = sum(({ endedTurns }) => endedTurns);
  const straddling = sum((sample) => sample.straddling);
  if (loss === 0) problems.push('no token carries loss');

  const { bosId, addBos } = tokenizer;
  const beginning = samples.filter(({ continues }) => continues !== true);
  const withBos = beginning.filter(({ ids }) => ids[0] === bosId).length;
  const others = samples.length - beginning.length;
  const bos =
    bosId === null
      ? 'the vocabulary has none'
      : `${withBos} of ${beginning.length} samples begin with ${tokenizer.pieceOf(bosId)}, none has two in a row${others > 0 ? `; ${others} go on with a text` : ''}`;
  if (bosId !== null && addBos && withBos < beginning.length) {
    problems.push(`${beginning.length - withBos} samples do not begin with the beginning-of-text token`);
  }
  if (turns > 0 && ended === 0) {
    problems.push(
      'no trained turn ends with a token that ends a generation: the model would never learn to stop. ' +
        'Choose a template (model.template) whose end of turn is a token of this vocabulary',
    );
  } else if (ended < turns) warnings.push(`${turns - ended} of ${turns} trained turns do not end with an end token`);

  const compared = samples.filter(({ texts }) => texts.length > 0).slice(0, DECODED);
  const equal = compared.filter((sample) => saysItsTexts(sample, tokenizer)).length;
  if (compared.length > 0 && equal === 0) {
    problems.push('the tokens that carry loss do not decode to the answers: is the tokenizer the right one?');
  } else if (equal < compared.length) {
    warnings.push(
      `${compared.length - equal} of ${compared.length} samples decode to other characters than the data's (normalisation)`,
    );
  }
  if (problems.length > 0) throw new ConfigError(name, problems, 'finetune.proof');
  const share = ((100 * loss) / tokens).toFixed(1);
  return {
    facts: [
      ['samples', `${samples.length}, ${tokens} tokens, ${loss} of them carry loss (${share} %)`],
      ['beginning', bos],
      ['end', `${ended} of ${turns} trained turns end with an end token that carries loss`],
      ...(compared.length === 0
        ? []
        : [
            [
              'marks',
              `the marked tokens decode to the rendered answers in ${equal} of ${compared.length} samples looked at; ${straddling} lie over a border`,
            ] as const,
          ]),
    ],
    warnings,
  };
}

export function lossTokens({ carries }: EncodedSample): number {
  let count = 0;
  for (let i = 1; i < carries.length; i++) count += carries[i]!;
  return count;
}

function saysItsTexts(sample: EncodedSample, tokenizer: Tokenizer): boolean {
  const runs = runsOf(sample, tokenizer).filter((run) => run.carries);
  // A turn that touches the one before it is one run with it.
  const said = runs.map(({ text }) => text).join('\0');
  let at = 0;
  for (const text of sample.texts) {
    const found = said.indexOf(text.trim(), at);
    if (found === -1) return false;
    at = found + text.trim().length;
  }
  return true;
}

export interface Run {
  readonly text: string;
  readonly carries: boolean;
}

/** The sample's text, cut where tokens begin or cease to carry loss. */
export function runsOf({ ids, carries }: Pick<EncodedSample, 'ids' | 'carries'>, tokenizer: Tokenizer): Run[] {
  const runs: Run[] = [];
  const decoder = tokenizer.decoder({ special: 'text' });
  let text = '';
  for (let i = 0; i < ids.length; i++) {
    if (i > 0 && carries[i] !== carries[i - 1]) {
      runs.push({ text, carries: carries[i - 1] === 1 });
      text = '';
    }
    text += decoder.push(ids[i]!);
  }
  text += decoder.flush();
  if (ids.length > 0) runs.push({ text, carries: carries[ids.length - 1] === 1 });
  return runs;
}

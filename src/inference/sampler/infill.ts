/**
 * llama.cpp's sampler for filling a gap in code (src/llama-sampling.cpp, llama_sampler_infill): it writes only what is likely, and ends
 * rather than guesses. It belongs behind top-k and top-p.
 *
 *   1. where the ends of generation weigh more than a third of the average candidate's share, only they are left
 *   2. of two candidates of which one's text begins the other's, the likelier gets both shares
 *   3. what then has less than 0.2 goes; where nothing is left, the text ends
 *   4. of what is left, what has less than 1 / (count + 1) of the rest's share goes
 */
import type { Candidates } from './candidates.ts';

/** What the tokens say, and which of them end a text. */
export interface TokenEnds {
  readonly eogIds: ReadonlySet<number>;
  /** A token's text; '' where it has none. */
  textOf(id: number): string;
}

/** Comparing all with all costs the square; nothing less likely than so many others can pass step 3. */
const COMPARED = 256;
const LEAST_SHARE = 0.2;

/** `mayEnd`: an end is allowed although it is not among the candidates. */
export function infill(candidates: Candidates, { eogIds, textOf }: TokenEnds, mayEnd: boolean): void {
  candidates.softmax();
  const { ids, probabilities, keys } = candidates;
  const isEnd = (i: number) => eogIds.has(ids[i]!);
  let ends = 0;
  for (let i = 0; i < candidates.count; i++) if (isEnd(i)) ends += probabilities[i]!;
  if (3 * ends * candidates.count > 1 - ends) {
    keepEnds();
    return;
  }

  candidates.sortBest(COMPARED);
  candidates.keepFirst(COMPARED);
  candidates.softmax();
  const texts = Array.from({ length: candidates.count }, (_, i) => textOf(ids[i]!));
  for (let short = 0; short < texts.length; short++) {
    if (texts[short] === '') continue;
    for (let long = 0; long < texts.length && probabilities[short]! > 0; long++) {
      if (long === short || probabilities[long] === 0 || !texts[long]!.startsWith(texts[short]!)) continue;
      const [to, from] = probabilities[long]! > probabilities[short]! ? [long, short] : [short, long];
      probabilities[to]! += probabilities[from]!;
      probabilities[from] = 0;
    }
  }

  let others = 0;
  let sum = 0;
  for (let i = 0; i < candidates.count; i++) {
    const p = probabilities[i]!;
    keys[i] = isEnd(i) ? Number.POSITIVE_INFINITY : p;
    if (keys[i]! < LEAST_SHARE) continue;
    sum += p;
    if (!isEnd(i)) others++;
  }
  if (others === 0) {
    const [end] = eogIds;
    if (ends > 0) keepEnds();
    else if (mayEnd && end !== undefined) candidates.only(end);
    else candidates.keepFirst(1);
    return;
  }
  candidates.keepFrom(LEAST_SHARE, keys);
  candidates.keepFrom(sum / (others + 1), keys);

  function keepEnds(): void {
    for (let i = 0; i < candidates.count; i++) keys[i] = isEnd(i) ? 1 : 0;
    candidates.keepFrom(1, keys);
  }
}

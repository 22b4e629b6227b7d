/**
 * ARPA files: n-gram models as text, the form that KenLM, SRILM and lmplz exchange.
 *
 *   \data\            then per order `ngram N=count`, then per order `\N-grams:` and lines
 *   log10 probability ⇥ words separated by spaces ⇥ log10 backoff (optional)        … `\end\`
 *
 * Read line by line, so that a model of gigabytes needs no copy of its text.
 */
import { FormatError } from '../../base/errors.ts';
import { NgramBuilder } from './builder.ts';
import type { NgramModel } from './model.ts';

/** Feed lines in order, then call finish(). Throws FormatError `arpa.*`. */
export class ArpaReader {
  private readonly file: string;
  private readonly counts: number[] = [];
  private readonly seen: number[] = [];
  private model: NgramBuilder | undefined;
  private section = 0;
  private lineNumber = 0;
  private state: 'before' | 'data' | 'grams' | 'end' = 'before';
  private readonly ids: number[] = [];

  constructor(file: string) {
    this.file = file;
  }

  line(raw: string): void {
    this.lineNumber++;
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '' || this.state === 'end') return;
    if (this.state === 'before') {
      if (line.trim() === '\\data\\') this.state = 'data';
      return;
    }
    if (line.startsWith('\\')) this.heading(line.trim());
    else if (this.state === 'data') this.countLine(line);
    else this.gram(line);
  }

  finish(): NgramModel {
    if (this.state !== 'end')
      this.fail('truncated', 'the file ends before \\end\\', 'It is truncated; fetch it again.');
    return this.model!.finish();
  }

  private heading(line: string): void {
    if (this.model && this.seen[this.section - 1] !== this.counts[this.section - 1]) {
      this.fail(
        'count',
        `order ${this.section} has ${this.seen[this.section - 1]} n-grams, the header says ${this.counts[this.section - 1]}`,
        'The file is damaged.',
      );
    }
    if (line === '\\end\\') {
      if (this.section !== this.counts.length)
        this.fail('order', `orders 1 to ${this.section} of ${this.counts.length} are there`, 'It is truncated.');
      this.state = 'end';
      return;
    }
    const order = Number(/^\\(\d+)-grams:$/.exec(line)?.[1]);
    if (order !== this.section + 1 || order > this.counts.length) {
      this.fail(
        'heading',
        `found ${JSON.stringify(line.slice(0, 40))} after order ${this.section} of ${this.counts.length}`,
        'The file is damaged.',
      );
    }
    this.section = order;
    this.seen.push(0);
    this.state = 'grams';
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    // The header's promise is not trusted with memory: the model grows beyond this as n-grams really arrive.
    this.model ??= new NgramBuilder(this.counts.length, Math.min(total, 1 << 22));
  }

  private countLine(line: string): void {
    const match = /^\s*ngram\s+(\d+)\s*=\s*(\d+)\s*$/.exec(line);
    if (!match || Number(match[1]) !== this.counts.length + 1 || this.counts.length >= 20) {
      this.fail(
        'header',
        `found ${JSON.stringify(line.slice(0, 40))}, expected ngram ${this.counts.length + 1}=count`,
        'Is this an ARPA file?',
      );
    }
    this.counts.push(Number(match[2]));
  }

  private gram(line: string): void {
    const model = this.model!;
    const firstTab = line.search(/[\t ]/);
    const probability = Number(line.slice(0, firstTab));
    const fields = line.slice(firstTab + 1).split(/[\t ]+/);
    const order = this.section;
    if (firstTab < 0 || Number.isNaN(probability) || (fields.length !== order && fields.length !== order + 1)) {
      this.fail(
        'line',
        `expected a number, ${order} words and perhaps a backoff, found ${JSON.stringify(line.slice(0, 60))}`,
        'The file is damaged.',
      );
    }
    if (probability > 0)
      this.fail('probability', `log10 probability ${probability} is above 0`, 'The file is damaged.');
    const backoff = fields.length > order ? Number(fields[order]) : 0;
    if (Number.isNaN(backoff))
      this.fail('line', `backoff ${JSON.stringify(fields[order])} is not a number`, 'The file is damaged.');
    for (let i = 0; i < order; i++) this.ids[i] = model.wordId(fields[i]!);
    model.add(this.ids, order, probability, backoff);
    this.seen[order - 1]!++;
  }

  private fail(what: string, problem: string, advice: string): never {
    throw new FormatError({ code: `arpa.${what}`, file: this.file, where: `line ${this.lineNumber}` }, problem, advice);
  }
}

export function parseArpa(text: string, file: string): NgramModel {
  const reader = new ArpaReader(file);
  for (const line of text.split('\n')) reader.line(line);
  return reader.finish();
}

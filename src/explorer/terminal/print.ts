/** The walk as lines of a terminal. */
import { harmless } from '../../base/harmless.ts';
import { formatBytes } from '../../base/units.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { diagramOf } from '../diagram.ts';
import { formatCount, formatNumber, formatShare } from '../numbers.ts';
import { shapeInWords } from '../recording.ts';
import type { Words } from '../words/words.ts';
import { type Report, sampled } from './report.ts';

export const terminalScenes = ['map', 'tokens', 'walk', 'attention', 'stream', 'cache', 'choice'] as const;
export type TerminalScene = (typeof terminalScenes)[number];

export interface Paper {
  readonly width: number;
  /** May colours be used? */
  readonly color: boolean;
}

/** `scene`: one part; null: all but the map. */
export function print(
  report: Report,
  config: LlamaConfig,
  words: Words,
  scene: TerminalScene | null,
  paper: Paper,
): string {
  const parts: Readonly<Record<TerminalScene, () => string[]>> = {
    map: () => mapLines(config, report.attention.block),
    tokens: () => tokenLines(report, paper),
    walk: () => walkLines(report, words, paper),
    attention: () => attentionLines(report, words, paper),
    stream: () => streamLines(report, words, paper),
    cache: () => cacheLines(report, words, paper),
    choice: () => choiceLines(report, words, paper),
  };
  const shown = scene === null ? terminalScenes.filter((name) => name !== 'map') : [scene];
  const chapters = shown.map((name) => [bold(words.scenes[name].title, paper), ...parts[name]()]);
  return `${chapters.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function bold(text: string, { color }: Paper): string {
  return color ? `\x1b[1m${text}\x1b[0m` : `${text}\n${'─'.repeat(widthOf(text))}`;
}

function tokenLines({ tokens }: Report, { width }: Paper): string[] {
  const lines: string[] = [];
  let [pieces, ids] = ['', ''];
  for (const { id, piece } of tokens) {
    const text = harmless(piece).replaceAll('\n', '↵');
    const size = Math.max(widthOf(text), String(id).length) + 1;
    if (widthOf(pieces) + size > width && pieces !== '') {
      lines.push(pieces.trimEnd(), ids.trimEnd());
      [pieces, ids] = ['', ''];
    }
    pieces += padTo(text, size);
    ids += String(id).padEnd(size);
  }
  return [...lines, pieces.trimEnd(), ids.trimEnd()];
}

function walkLines({ walk }: Report, words: Words, paper: Paper): string[] {
  return walk.flatMap(({ step, activations }, i) => {
    const { title, text } = words.steps[step];
    const head = `(${i + 1}) ${title}`;
    const named = activations.flatMap(({ name, letters, shape, corner }) => {
      const rows = corner.map((row) => row.map((value) => formatNumber(value).padStart(9)).join(' '));
      return [`    ${name}  ${letters} = ${shape}`, ...rows.map((row) => `    ${row} …`)];
    });
    const heading = paper.color ? `\x1b[36m${head}\x1b[0m` : head;
    return [...(i > 0 ? [''] : []), heading, ...wrap(text, paper.width, '    '), ...named];
  });
}

const shades = [' ', '·', '░', '▒', '▓', '█'];

function attentionLines({ attention, tokens }: Report, words: Words, paper: Paper): string[] {
  const { block, head, rows, shares } = attention;
  const label = (place: number) => harmless(tokens[rows[place]!]!.piece).replaceAll('\n', '↵');
  const margin = Math.min(12, Math.max(...rows.map((_, place) => widthOf(label(place))))) + 1;
  const fitting = sampled(rows.length, Math.max(1, paper.width - margin - 1));
  const lines = wrap(words.mapOf(block, head), paper.width, '');
  if (fitting.length < tokens.length) lines.push(words.ofRows(fitting.length, tokens.length));
  if (paper.color) {
    for (let i = 0; i < fitting.length; i += 2) {
      const [upper, lower] = [fitting[i]!, fitting[i + 1]];
      const cells = fitting.map((s) => halfBlock(shares[upper]![s]!, lower === undefined ? null : shares[lower]![s]!));
      lines.push(`${padTo(cut(label(upper), margin - 1), margin)}${cells.join('')}\x1b[0m`);
    }
  } else {
    for (const r of fitting) {
      const cells = fitting.map((s) =>
        s > r ? ' ' : shades[Math.min(shades.length - 1, Math.ceil(shares[r]![s]! * (shades.length - 1)))],
      );
      lines.push(`${padTo(cut(label(r), margin - 1), margin)}${cells.join('')}`.trimEnd());
    }
  }
  const last = shares.at(-1)!;
  const most = last.indexOf(Math.max(...last));
  const [asking, seen] = [label(rows.length - 1), label(most)].map((text) => `“${text}”`);
  lines.push(...wrap(words.looksAt(head, asking!, seen!, formatShare(last[most]!)), paper.width, ''));
  return lines;
}

/** Two rows in one line: the upper share as ink, the lower as paper, on the 24 greys of a terminal. */
function halfBlock(upper: number, lower: number | null): string {
  const grey = (share: number) => 232 + Math.round(Math.sqrt(share) * 23);
  return `\x1b[38;5;${grey(upper)}${lower === null ? ';49' : `;48;5;${grey(lower)}`}m▀`;
}

function streamLines({ stream }: Report, words: Words, paper: Paper): string[] {
  const most = Math.max(...stream.map(({ length }) => length));
  const name = Math.max(...stream.map((each) => each.name.length));
  return [
    words.streamLengths,
    ...stream.map(
      (each) =>
        `  ${each.name.padEnd(name)} ${formatNumber(each.length).padStart(9)}  ${bar(each.length / most, paper.width - name - 16)}`,
    ),
  ];
}

function cacheLines({ cache, tokens }: Report, words: Words, { width }: Paper): string[] {
  return [
    ...wrap(words.cacheOf(tokens.length, formatBytes(cache.bytes), formatBytes(cache.bytesPerToken)), width, ''),
    ...wrap(
      words.nextTokenCosts(formatCount(cache.multiplyAddsWith), formatCount(cache.multiplyAddsWithout)),
      width,
      '',
    ),
  ];
}

function choiceLines({ next, choice }: Report, words: Words, paper: Paper): string[] {
  const text = (piece: string) => `“${harmless(piece).replaceAll('\n', '↵')}”`;
  const wide = Math.max(...next.map(({ piece }) => widthOf(text(piece))));
  const lines = [words.likeliest];
  for (const { id, piece, probability } of next) {
    const mark = id === choice.id ? `← ${words.chosen}` : '';
    const share = formatShare(probability).padStart(7);
    lines.push(
      `  ${padTo(text(piece), wide)} ${share}  ${padTo(bar(probability / next[0]!.probability, Math.min(30, paper.width - wide - 24)), 30)} ${mark}`.trimEnd(),
    );
  }
  lines.push('', words.left);
  for (const { name, count } of choice.stages) lines.push(`  ${name.padEnd(12)} ${words.leftOf(count)}`);
  lines.push(`  ${choice.draw === null ? words.notDrawn : words.drawn(formatNumber(choice.draw))}`);
  return lines;
}

function mapLines(config: LlamaConfig, block: number): string[] {
  const { boxes, layers } = diagramOf(config, block);
  return Array.from({ length: layers }, (_, layer) => {
    const row = boxes.filter((box) => box.layer === layer);
    return row
      .map(({ kind, id, name, letters, shape, parameters }) => {
        const what = kind === 'block' ? id : (name ?? kind);
        const weights =
          parameters.length > 0 && kind !== 'block' ? ` ← ${parameters.map((p) => p.key).join(', ')}` : '';
        return `${what} ${shapeInWords({ letters: letters as never, shape }).letters}${weights}`;
      })
      .join('   |   ');
  });
}

function bar(share: number, width: number): string {
  return '█'.repeat(Math.max(0, Math.round(share * Math.max(0, width))));
}

function wrap(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (widthOf(line) + widthOf(word) + 1 > width && line.trim() !== '') {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}

/** Columns that a text takes: East Asian characters take two. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}

function padTo(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

function cut(text: string, width: number): string {
  let out = '';
  for (const character of text) {
    if (widthOf(out + character) > width) return out;
    out += character;
  }
  return out;
}

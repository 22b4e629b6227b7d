/**
 * Progress of long work, on stderr: a bar with rate and time left on a terminal, JSON lines with `--json`, and in a log a line
 * now and then, for work that takes longer than that. Redrawn a few times a second at most, so that it costs nothing.
 */
import { harmless } from '../../base/harmless.ts';
import { formatDuration } from '../../base/units.ts';
import { type Io, type Output, writeJson, writeLine } from '../io.ts';

export interface Progress {
  /** `done` of the total; units are the caller's. */
  update(done: number, note?: string): void;
  /** Wipes the bar, so that results start on a clean line. */
  end(): void;
}

interface ProgressOptions {
  readonly what: string;
  readonly total: number;
  readonly json: boolean;
  /** Amounts in words, e.g. formatBytes. */
  readonly amount?: (value: number) => string;
}

const REDRAW_MS = 100;
const JSON_MS = 1000;
const LOG_MS = 10_000;

export function startProgress({ stderr }: Pick<Io, 'stderr'>, options: ProgressOptions): Progress {
  const started = performance.now();
  const isLog = !options.json && !stderr.isTTY;
  let last = isLog ? started : Number.NEGATIVE_INFINITY;
  const pause = isLog ? LOG_MS : options.json ? JSON_MS : REDRAW_MS;
  return {
    update(done, note = '') {
      const now = performance.now();
      if (isLog && now - last < pause) return;
      if (now - last < pause && done < options.total) return;
      last = now;
      const seconds = (now - started) / 1000;
      if (options.json) {
        writeJson(stderr, { progress: options.what, done, total: options.total, seconds: round(seconds) });
      } else if (isLog) writeLine(stderr, logLine(options, done, seconds, note));
      else stderr.write(`\r\x1b[2K${harmless(bar(stderr, options, done, seconds, note))}`);
    },
    end() {
      if (!options.json && !isLog) stderr.write('\r\x1b[2K');
    },
  };
}

interface Words {
  readonly share: number;
  readonly percent: string;
  readonly amount: string;
  readonly rate: string;
  readonly left: string;
}

function wordsOf(
  { total, amount = (value) => String(Math.round(value)) }: ProgressOptions,
  done: number,
  seconds: number,
): Words {
  const share = total > 0 ? Math.min(1, done / total) : 1;
  return {
    share,
    percent: `${Math.floor(share * 100)} %`,
    amount: amount(done),
    rate: seconds > 0.5 && done > 0 && amount(done) !== '' ? `${amount(done / seconds)}/s` : '',
    left: seconds > 0.5 && share > 0 && share < 1 ? `${formatDuration((seconds / share) * (1 - share))} left` : '',
  };
}

function logLine(options: ProgressOptions, done: number, seconds: number, note: string): string {
  const { percent, amount, rate, left } = wordsOf(options, done, seconds);
  return `${options.what}: ${[percent, amount, rate, left, note].filter(Boolean).join(', ')}`;
}

/** One line, cut to the terminal's width: what, bar, share, amount, rate, time left. */
function bar(stderr: Output, options: ProgressOptions, done: number, seconds: number, note: string): string {
  const { what } = options;
  const { share, ...words } = wordsOf(options, done, seconds);
  const width = stderr.columns ?? 80;
  const parts = [words.percent.padStart(5), ...(width > 60 ? [words.amount] : []), words.rate, words.left];
  const numbers = parts
    .filter(Boolean)
    .map((part) => ` ${part}`)
    .join('');
  const room = Math.max(0, Math.min(30, width - what.length - numbers.length - 4));
  const filled = Math.round(share * room);
  const drawn = room > 4 ? ` ${'█'.repeat(filled)}${'░'.repeat(room - filled)}` : '';
  return `${what}${drawn}${numbers}${note && ` ${note}`}`.slice(0, width - 1);
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

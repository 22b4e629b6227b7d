/**
 * Progress of long work, on stderr: a bar with rate and time left on a terminal, JSON lines with `--json`, and nothing otherwise.
 * Redrawn a few times a second at most, so that it costs nothing.
 */
import { harmless } from '../../base/harmless.ts';
import { formatDuration } from '../../base/units.ts';
import { type Io, type Output, writeJson } from '../io.ts';

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

export function startProgress({ stderr }: Pick<Io, 'stderr'>, options: ProgressOptions): Progress {
  const started = performance.now();
  let last = Number.NEGATIVE_INFINITY;
  const pause = options.json ? JSON_MS : REDRAW_MS;
  if (!options.json && !stderr.isTTY) return { update() {}, end() {} };
  return {
    update(done, note = '') {
      const now = performance.now();
      if (now - last < pause && done < options.total) return;
      last = now;
      const seconds = (now - started) / 1000;
      if (options.json) {
        writeJson(stderr, { progress: options.what, done, total: options.total, seconds: round(seconds) });
      } else stderr.write(`\r\x1b[2K${harmless(bar(stderr, options, done, seconds, note))}`);
    },
    end() {
      if (!options.json) stderr.write('\r\x1b[2K');
    },
  };
}

/** One line, cut to the terminal's width: what, bar, share, amount, rate, time left. */
function bar(stderr: Output, options: ProgressOptions, done: number, seconds: number, note: string): string {
  const { what, total, amount = (value: number) => String(Math.round(value)) } = options;
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const width = stderr.columns ?? 80;
  const rate = seconds > 0.5 && done > 0 && amount(done) !== '' ? ` ${amount(done / seconds)}/s` : '';
  const left =
    seconds > 0.5 && share > 0 && share < 1 ? ` ${formatDuration((seconds / share) * (1 - share))} left` : '';
  const numbers = ` ${String(Math.floor(share * 100)).padStart(3)} %${width > 60 ? ` ${amount(done)}` : ''}${rate}${left}`;
  const room = Math.max(0, Math.min(30, width - what.length - numbers.length - 4));
  const filled = Math.round(share * room);
  const drawn = room > 4 ? ` ${'█'.repeat(filled)}${'░'.repeat(room - filled)}` : '';
  return `${what}${drawn}${numbers}${note && ` ${note}`}`.slice(0, width - 1);
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

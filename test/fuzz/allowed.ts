import { CriaError } from '../../src/base/errors.ts';
import { isSystemError } from '../../src/base/system-error.ts';

/** An error that says what is wrong with the file, rather than that ours is wrong. */
export function allowed(error: unknown, target: string): boolean {
  if (error instanceof CriaError || isSystemError(error)) return true;
  const { code } = error as { code?: unknown };
  // zlib's, which the pipeline takes as a broken stream
  if (
    typeof code === 'string' &&
    /^(?:ERR_BUFFER_TOO_LARGE|ERR__ERROR_|ERR_ZSTD|ZSTD_|Z_|ERR_BROTLI|BROTLI_)/.test(code)
  )
    return true;
  // hyparquet has no kind of error of its own; a stack or a memory that overflows is a finding there, too
  const isOverflow = error instanceof RangeError && /call stack|allocation/i.test(error.message);
  return target === 'parquet' && error instanceof Error && !isOverflow;
}

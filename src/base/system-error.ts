/** Errors of the operating system in words. They name their call and their path; Node's own message is kept where these do not know better. */
export interface SystemError extends Error {
  readonly code: string;
  readonly syscall: string;
  path?: string;
}

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

const words: Readonly<Record<string, string>> = {
  ENOENT: 'expected a file or folder, found nothing of this name. Is the path right?',
  EISDIR: 'expected a file, found a folder. Name a file in it.',
  ENOTDIR: 'expected a folder, found something else on the way. Is the path right?',
  EACCES: 'expected a file that may be used, found no permission. Change its permissions, or take another.',
  EPERM: 'expected a file that may be used, found no permission. Change its permissions, or take another.',
  EROFS: 'expected a place to write, found a read-only file system. Write elsewhere.',
  ENOSPC: 'expected room on the disk, found none left. Free some, or write elsewhere.',
  EMFILE: 'expected to open one more file, found too many open. Raise the limit (ulimit -n).',
};

export function systemErrorInWords(error: SystemError): string {
  const known = words[error.code];
  if (known === undefined) return error.message;
  return `${error.path ?? error.syscall}: ${known} (${error.code})`;
}

/** The result of `work`, which uses a file that is open: its errors name no path of their own. */
export function atPath<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (isSystemError(error)) error.path ??= path;
    throw error;
  }
}

import { counted } from './units.ts';

/**
 * Errors that are the input's fault, not ours. Every message reads *where: expected, found. what to do*,
 * and every error carries a stable `code` for programs. Our own mistakes are InvariantError (assert.ts).
 */
export class CriaError extends Error {
  /** Stable, machine-readable: `area.what`, e.g. `gguf.bad-magic`. */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** A file that is not what it says it is. `where` is a byte offset, a line or a tensor name inside the file. */
export class FormatError extends CriaError {
  readonly file: string;
  readonly where: string;
  constructor(place: { code: string; file: string; where: string }, problem: string, advice: string) {
    super(place.code, `${place.file} @ ${place.where}: ${problem}. ${advice}`);
    this.file = place.file;
    this.where = place.where;
  }
}

/** A configuration with one or more problems; all of them are listed. */
export class ConfigError extends CriaError {
  readonly problems: readonly string[];
  constructor(where: string, problems: readonly string[], code = 'config.invalid') {
    const count = counted(problems.length, 'problem');
    super(code, `${where}: ${count}\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** A call with a wrong value: `where: expected, found. what to do.` */
export class ArgumentError extends CriaError {}

/** A wrong command line; exit code 2, no stack. One line per problem. */
export class UsageError extends CriaError {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super('usage', problems.join('\n'));
    this.problems = problems;
  }
}

/** Something that Cria knows of but that this build, device or machine cannot do. */
export class UnsupportedError extends CriaError {}

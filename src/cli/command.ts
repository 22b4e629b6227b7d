import type { Io } from './io.ts';
import type { Options, OptionTable } from './option-table.ts';

/** One verb of the command line; a file of src/cli/commands each. */
export interface Command {
  readonly options: OptionTable;
  /** The options that may also be given as plain words, in this order: `cria inspect MODEL`. */
  readonly positionals: readonly string[];
  /** Which of the positionals that are still free the words are, where their order alone does not say. */
  placeWords?(words: readonly string[], free: readonly string[]): readonly string[];
  /** What `--help` and docs/cli.md say beyond the summary and the options. */
  readonly details?: string;
  /** Command lines (without `cria`) that the help shows, each with what it does. */
  readonly examples?: readonly (readonly [line: string, what: string])[];
  /** Ctrl-C and SIGTERM are how it ends, and no failure: a server. */
  readonly endsByInterrupt?: true;
  /** Does the work. Throws UsageError for what the table cannot check, CriaError when the work fails. */
  run(options: Options<OptionTable>, io: Io): Promise<void>;
}

interface CommandOf<Table extends OptionTable> extends Omit<Command, 'options' | 'positionals' | 'run'> {
  readonly options: Table;
  readonly positionals: readonly (keyof Table & string)[];
  run(options: Options<Table>, io: Io): Promise<void>;
}

/** A verb from its table: `run` gets options of the table's types. */
export function defineCommand<const Table extends OptionTable>(command: CommandOf<Table>): Command {
  return command;
}

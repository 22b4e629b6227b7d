/** What runs the programs of a model: the Python of this system. */
import { UnsupportedError } from '../../../base/errors.ts';
import { createPythonRunner, type ProgramRunner } from './python.ts';

/** Throws UnsupportedError `eval.no-python`. */
export async function createProgramRunner(): Promise<ProgramRunner> {
  const python = createPythonRunner();
  if (python) return python;
  throw new UnsupportedError('eval.no-python', '--execute: expected Python 3 on this system, found none. Install it.');
}

/** What runs the programs of a model: pyodide where it is installed, else the Python of this system. */
import { UnsupportedError } from '../../../base/errors.ts';
import { createPyodideRunner } from './pyodide.ts';
import { createPythonRunner } from './python.ts';
import type { ProgramRunner } from './runner.ts';

/** Throws UnsupportedError `eval.no-python`. */
export function createProgramRunner(): ProgramRunner {
  const runner = createPyodideRunner() ?? createPythonRunner();
  if (runner) return runner;
  throw new UnsupportedError(
    'eval.no-python',
    '--execute: expected the npm package pyodide, or Python 3 on this system, found neither. Install one: npm install pyodide.',
  );
}

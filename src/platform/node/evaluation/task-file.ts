/** Tasks of one's own: a YAML or JSON file each, in the form of the built-in ones. */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { parse } from 'yaml';
import { ConfigError } from '../../../base/errors.ts';
import { parseTask, type TaskSpec } from '../../../evaluation/task/spec.ts';

const MOST_BYTES = 8 * 2 ** 20;

export const isTaskFile = (name: string): boolean => /\.(ya?ml|json)$/i.test(name);

/** Throws ConfigError `eval.task`, with all problems. */
export function readTaskFile(path: string): TaskSpec {
  const name = basename(path);
  if (statSync(path).size > MOST_BYTES) {
    throw new ConfigError(
      name,
      [`expected at most ${MOST_BYTES} bytes; examples may be in the data instead`],
      'eval.task',
    );
  }
  const text = readFileSync(path, 'utf8');
  if (/^\s*[\w-]+:\s*!function\b/m.test(text)) {
    throw new ConfigError(
      name,
      ['!function names a program of the lm-evaluation-harness, which is not run here; say it as a template'],
      'eval.task',
    );
  }
  let value: unknown;
  try {
    value = /\.json$/i.test(path) ? JSON.parse(text) : parse(text);
  } catch (error) {
    throw new ConfigError(name, [(error as Error).message.split('\n')[0]!], 'eval.task');
  }
  return parseTask(name, value);
}

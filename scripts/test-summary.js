// A reporter for node:test: a dot a test, then failures in full, skips with their reasons, the slowest files and the closing counts.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { inspect } from 'node:util';

/** Where the time of a long run goes: the files that take most of it. */
function slowest(seconds) {
  const sum = seconds.reduce((total, [, each]) => total + each, 0);
  const first = seconds.toSorted(([, a], [, b]) => b - a).slice(0, 12);
  const lines = first.map(([file, each]) => `  ${each.toFixed(0).padStart(4)} s  ${relative(process.cwd(), file)}\n`);
  return `the slowest of ${seconds.length} files (${sum.toFixed(0)} s in all):\n${lines.join('')}`;
}

export default async function* summary(source) {
  const failures = [];
  const skips = new Map();
  const seconds = []; // [file, seconds]
  let dots = 0;
  for await (const { type, data } of source) {
    if ((type === 'test:pass' || type === 'test:fail') && data.details?.type !== 'suite') {
      const mark = type === 'test:fail' ? 'X' : data.skip !== undefined ? 's' : '.';
      yield ++dots % 100 === 0 ? `${mark}\n` : mark;
    }
    if (type === 'test:fail' && data.details?.error?.failureType !== 'subtestsFailed') failures.push(data);
    if ((type === 'test:pass' || type === 'test:fail') && data.skip !== undefined) {
      const reason = typeof data.skip === 'string' && data.skip ? data.skip : 'no reason given';
      skips.set(reason, (skips.get(reason) ?? 0) + 1);
      if (process.env.CRIA_SKIPS_FILE) {
        appendFileSync(process.env.CRIA_SKIPS_FILE, `${JSON.stringify({ name: data.name, reason })}\n`);
      }
    }
    if (type === 'test:stderr' || type === 'test:stdout') {
      if (type === 'test:stderr' && !/ExperimentalWarning|--trace-warnings/.test(data.message)) yield data.message;
    }
    if (type === 'test:summary' && data.file !== undefined) seconds.push([data.file, data.duration_ms / 1000]);
    if (type === 'test:summary' && data.file === undefined) {
      yield '\n';
      for (const { name, file, line, details } of failures) {
        const error = details?.error?.cause ?? details?.error;
        yield `\n✖ ${name}\n  ${file}:${line}\n  ${(error?.stack ?? inspect(error)).split('\n').slice(0, 14).join('\n  ')}\n`;
      }
      for (const [reason, count] of skips) yield `skipped ${count}: ${reason}\n`;
      if (seconds.length >= 40) yield slowest(seconds);
      const c = data.counts;
      yield `ℹ tests ${c.tests}\nℹ suites ${c.suites}\nℹ pass ${c.passed}\nℹ fail ${c.failed}\nℹ cancelled ${c.cancelled}\nℹ skipped ${c.skipped}\nℹ todo ${c.todo}\n`;
      yield `ℹ duration_ms ${data.duration_ms}\n`;
    }
  }
}

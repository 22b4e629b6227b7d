// `npm test [-- PATTERN…]`: every *.test.ts under src/ and test/, by node:test.
// Prints each skip with its reason; with CI set, a skip that test/allowed-skips.json does not list fails the run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeStubs } from './build.js';
import { buildWeb } from './build-web.js';
import { filesIn } from './files.js';

writeStubs();
await buildWeb();

const patterns = process.argv.slice(2);
const files = ['src', 'test']
  .flatMap((folder) => filesIn(folder).map((file) => `${folder}/${file}`))
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
  .sort();
if (files.length === 0) {
  console.error(
    `npm test: no test file matches ${patterns.join(', ')}. Patterns are parts of a path, as in: npm test -- formats`,
  );
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'cria-test-'));
const skipsFile = join(folder, 'skips.jsonl');
const { status } = spawnSync(
  process.execPath,
  [
    '--test',
    // Half of the time one core waits for the other, or both for a timer: Node's own choice on two cores is one file at a time.
    `--test-concurrency=${Math.max(2, availableParallelism() - 1)}`,
    `--test-timeout=${process.env.CRIA_TEST_TIMEOUT_MS ?? 600000}`,
    '--test-reporter=./scripts/test-summary.js',
    '--test-reporter-destination=stdout',
    ...files,
  ],
  { stdio: 'inherit', env: { ...process.env, CRIA_SKIPS_FILE: skipsFile } },
);

const allowed = JSON.parse(readFileSync('test/allowed-skips.json', 'utf8'));
let skips = [];
try {
  skips = readFileSync(skipsFile, 'utf8')
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
} catch {}
rmSync(folder, { recursive: true, force: true });
const surprising = skips.filter(({ reason }) => !allowed.some((entry) => reason.startsWith(entry.reason)));
for (const { name, reason } of surprising)
  console.error(`skip that test/allowed-skips.json does not list: ${name}: ${reason}`);
process.exit(status !== 0 ? (status ?? 1) : process.env.CI && surprising.length > 0 ? 1 : 0);

import { deepStrictEqual, match, ok } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { compileKernels } from '../../devices/wasm/modules.ts';
import { differing, kernelResults } from '../../devices/wasm/self-test.ts';
import { describeMachine } from './machine.ts';
import { Verdicts } from './remembered.ts';
import { compileForThisMachine } from './wide-kernels.ts';

const plainly = { threads: 1, revectorize: true, blas: null, training: false } as const;

test('the kernels that this machine gets compute the bits of unoptimized 128-bit ones', async () => {
  const { kernels, note } = await compileForThisMachine({ threads: 1, revectorize: true, blas: null, training: true });
  if (describeMachine().revectorizer) match(note, /^256-bit$|not been tried/);
  const narrow = await compileForThisMachine({ threads: 1, revectorize: false, blas: null, training: false });
  match(narrow.note, /128-bit \(--no-revectorize\)/);
  const results = await Promise.all(
    [kernels, await compileKernels({ shared: false, isApart: true })].map(async (chosen) =>
      kernelResults(await createWasmDevice({ kernels: chosen, activations: 'int8' })),
    ),
  );
  deepStrictEqual(differing(results[0]!, results[1]!), []);
});

test('what has passed on this machine is compiled without a second look, and other code or another machine is looked at', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cria-verdicts-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const verdicts = new Verdicts({ XDG_CACHE_HOME: folder });
  const [one, other] = [verdicts.keyOf('joined', Uint8Array.of(1)), verdicts.keyOf('joined', Uint8Array.of(2))];
  ok(!verdicts.hasPassed(one));
  verdicts.pass(one);
  deepStrictEqual([verdicts.hasPassed(one), verdicts.hasPassed(other)], [true, false]);
  writeFileSync(join(folder, 'cria', 'kernels.json'), '{"passed": "all"}');
  ok(!verdicts.hasPassed(one));
  if (!describeMachine().revectorizer) return;
  const compile = async () => {
    const from = process.cpuUsage();
    const { kernels } = await compileForThisMachine({ ...plainly, verdicts });
    const { user, system } = process.cpuUsage(from);
    return { kernels, microseconds: user + system };
  };
  const first = await compile();
  const second = await compile();
  ok(second.microseconds < 0.8 * first.microseconds, `${second.microseconds} µs after ${first.microseconds}`);
  const results = [first, second].map(async ({ kernels }) => kernelResults(await createWasmDevice({ kernels })));
  deepStrictEqual(differing(await results[0]!, await results[1]!), []);
});

test('the comparison sees one flipped bit', async () => {
  const results = await kernelResults(await createWasmDevice({ activations: 'int8' }), { types: ['Q4_0'] });
  const other = new Map([...results].map(([name, values]) => [name, values.slice()]));
  other.get('rope')![7]! += 1e-6;
  deepStrictEqual(differing(results, other), ['rope']);
  ok(results.size > 10);
});

import { deepStrictEqual, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { compileKernels } from '../../devices/wasm/modules.ts';
import { differing, kernelResults } from '../../devices/wasm/self-test.ts';
import { describeMachine } from './machine.ts';
import { compileForThisMachine } from './wide-kernels.ts';

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

test('the comparison sees one flipped bit', async () => {
  const results = await kernelResults(await createWasmDevice({ activations: 'int8' }), { types: ['Q4_0'] });
  const other = new Map([...results].map(([name, values]) => [name, values.slice()]));
  other.get('rope')![7]! += 1e-6;
  deepStrictEqual(differing(results, other), ['rope']);
  ok(results.size > 10);
});

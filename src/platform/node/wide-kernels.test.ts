import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLoneWasmDevice } from '../../devices/wasm/device.ts';
import { type KernelLibrary, kernelLibrary } from '../../devices/wasm/library.ts';
import { computeByKernels, differing, resultsNow, type SelfTest } from '../../devices/wasm/self-test.ts';
import { computeByTrainingKernels } from '../../devices/wasm/training-self-test.ts';
import { taskNumber } from '../../kernels/kernels.ts';
import { linearMatrix } from '../../kernels/linear/int8/kernel.ts';
import { PACK_Q4_0 } from '../../kernels/tasks.ts';
import { describeMachine } from './machine.ts';
import { Verdicts } from './remembered.ts';
import { kernelsForThisMachine, optimized } from './wide-kernels.ts';

const plainly = { threads: 1, revectorize: true, blas: null, training: false } as const;
const narrow = kernelLibrary({ shared: false });

function resultsBy(kernels: KernelLibrary, options: SelfTest = {}) {
  const device = createLoneWasmDevice({ kernels, activations: 'int8' });
  return resultsNow((keep) => computeByKernels(device, keep, options));
}

function verdictsInFolder(): { verdicts: Verdicts; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'cria-verdicts-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return { verdicts: new Verdicts({ XDG_CACHE_HOME: folder }), folder };
}

test('the kernels that this machine gets compute the bits of 128-bit ones', () => {
  const { kernels, note, wideVectors } = kernelsForThisMachine({ ...plainly, training: true });
  if (describeMachine().revectorizer) match(note, /^256-bit$|not been tried/);
  match(kernelsForThisMachine({ ...plainly, revectorize: false }).note, /128-bit \(--no-revectorize\)/);
  deepStrictEqual(differing(resultsBy(narrow), resultsBy(kernels)), []);
  const trained = [
    { kernels: narrow, wideVectors: false },
    { kernels, wideVectors },
  ].map((options) => {
    const device = createLoneWasmDevice(options);
    return resultsNow((keep) => computeByTrainingKernels(device, keep));
  });
  deepStrictEqual(differing(trained[0]!, trained[1]!), []);
});

test('what has passed on this machine is compiled without a second look, and other code or another machine is looked at', () => {
  const { verdicts, folder } = verdictsInFolder();
  const [one, other] = [verdicts.keyOf('joined', Uint8Array.of(1)), verdicts.keyOf('joined', Uint8Array.of(2))];
  ok(!verdicts.hasPassed(one));
  verdicts.pass(one);
  deepStrictEqual([verdicts.hasPassed(one), verdicts.hasPassed(other)], [true, false]);
  deepStrictEqual(new Verdicts({ XDG_CACHE_HOME: folder }).hasPassed(one), true);
  writeFileSync(join(folder, 'cria', 'kernels.json'), '{"passed": "all"}');
  ok(!new Verdicts({ XDG_CACHE_HOME: folder }).hasPassed(one));
});

test('a start compiles what is asked for; the first one on a machine tries everything', (t) => {
  if (!describeMachine().revectorizer) return t.skip('this processor has no 256-bit vectors');
  const { verdicts, folder } = verdictsInFolder();
  const task = taskNumber(linearMatrix[PACK_Q4_0]!);
  const compiled = (verdicts: Verdicts) => {
    const compile = t.mock.method(WebAssembly, 'Module');
    const { kernels } = kernelsForThisMachine({ ...plainly, verdicts });
    kernels.module(task);
    const count = compile.mock.callCount();
    compile.mock.restore();
    return { count, kernels };
  };
  const first = compiled(verdicts);
  ok(first.count > 50, `${first.count} modules`);
  const second = compiled(new Verdicts({ XDG_CACHE_HOME: folder }));
  strictEqual(second.count, 2); // the product, and the one that is always looked at
  deepStrictEqual(differing(resultsBy(first.kernels), resultsBy(second.kernels)), []);
});

test('a kernel that is first asked for when V8 has forgotten how it compiled the others', async () => {
  const emptyFunction = [1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 4, 1, 2, 0, 11];
  const bytes = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, ...emptyFunction);
  optimized(bytes, { joinsPairs: false, shared: false });
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--stress-flush-code');
  try {
    for (let i = 0; i < 20; i++) {
      runInNewContext('gc')({ type: 'major', execution: 'sync' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    optimized(bytes, { joinsPairs: false, shared: false });
  } finally {
    setFlagsFromString('--no-stress-flush-code');
    setFlagsFromString('--no-expose-gc');
  }
});

test('the comparison sees one flipped bit', () => {
  const results = resultsBy(narrow, { types: ['Q4_0'] });
  const other = new Map([...results].map(([name, values]) => [name, values.slice()]));
  other.get('rope')![7]! += 1e-6;
  deepStrictEqual(differing(results, other), ['rope']);
  ok(results.size > 10);
});

/**
 * The machine code of AArch64 where this processor is none: its tests in a Node for arm64 under an emulator, which
 * CRIA_ARM64_NODE names (scripts/arm64-node.sh makes one). On an AArch64 they run as they are.
 */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isFloatKind, packKinds } from '../../../devices/wasm/weights.ts';
import { nativeWays } from '../../../kernels/native/kernels.ts';
import { weightTypes } from '../../../tensor/dtype.ts';

const node = process.env.CRIA_ARM64_NODE;
const skip = node === undefined && 'no Node for arm64 here: CRIA_ARM64_NODE names none';

test('machine code of AArch64 passes its tests under an emulator', { skip }, () => {
  const file = fileURLToPath(new URL('machine-code.test.ts', import.meta.url));
  const { stdout, status } = spawnSync(node!, ['--test-reporter=tap', file], {
    encoding: 'utf8',
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  strictEqual(status, 0, stdout);
  const passed = stdout.split('\n').flatMap((line) => /^ok \d+ - (\w+ by \w+):[^#]*$/.exec(line)?.[1] ?? []);
  const quantized = weightTypes.filter((type) => !isFloatKind(packKinds[type]));
  const expected = nativeWays.arm64.flatMap((way) => quantized.map((type) => `${type} by ${way}`));
  deepStrictEqual(passed, expected);
});

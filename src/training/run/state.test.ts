/** The optimizer's moments as a checkpoint keeps them. */
import { deepEqual, equal, throws } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { ids, trainer } from '../../../test/support/tiny-trainer.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { solo } from '../collective.ts';
import { isMuons } from '../ranks/parts.ts';
import { momentTensors, restoreMoments } from './state.ts';

const options = { optimizer: { matrices: 'muon' } } as const;
const micro = [{ ids, rows: 2, length: 16 }];

test('of what Muon moves there is one moment, in files too; a file of an earlier version has two, and is read', async () => {
  const begun = trainer(options);
  await begun.trainer.step(micro);
  const { optimizer } = begun.trainer;
  const saved = await momentTensors(begun.device, optimizer, solo);
  const expected = begun.parameters.flatMap(({ name, tensor: { shape } }) =>
    isMuons({ name, shape }, 'muon') ? [`m.${name}`] : [`m.${name}`, `v.${name}`],
  );
  deepEqual(
    saved.map(([name]) => name),
    expected,
  );

  // What was kept for nothing.
  const { name, tensor } = begun.parameters.find(({ name, tensor: { shape } }) => isMuons({ name, shape }, 'muon'))!;
  const unused = { name: `v.${name}`, dtype: 'f32', shape: [elementCount(tensor.shape)], readRows: () => {} } as const;
  const again = trainer(options);
  for (const [i, parameter] of again.parameters.entries()) {
    again.device.write(parameter.tensor, await begun.device.read(begun.parameters[i]!.tensor));
  }
  restoreMoments(again.device, again.trainer.optimizer, new Map([...saved, [unused.name, unused]]));
  again.trainer.optimizer.step = optimizer.step;
  const norms = [await begun.trainer.step(micro), await again.trainer.step(micro)].map((step) => step.gradientNorm);
  equal(norms[1], norms[0]);
  for (const [i, parameter] of again.parameters.entries()) {
    // Moments went through f32.
    assertClose(
      parameter.name,
      await again.device.read(parameter.tensor),
      await begun.device.read(begun.parameters[i]!.tensor),
      { atol: 1e-6 },
    );
  }
  const { optimizer: other } = again.trainer;
  throws(() => restoreMoments(again.device, other, new Map(saved.slice(1))), /f32 moments of embed_VD, found none/);
});

/** golden/relatives, on every device. */
import { goldenKinds } from './golden-kinds/all.ts';
import { runGoldenKinds } from './support/golden-kinds.ts';

runGoldenKinds(goldenKinds.relatives);

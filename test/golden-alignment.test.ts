/** golden/alignment: see test/support/golden-folder.ts for the folder, and test/golden-kinds for what is checked. */
import { goldenKinds } from './golden-kinds/all.ts';
import { runGoldenKinds } from './support/golden-kinds.ts';

runGoldenKinds(goldenKinds.alignment);

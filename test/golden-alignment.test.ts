/** golden/alignment: see test/support/golden-folder.ts for the folder, test/golden-kinds/alignment.ts for what is checked. */
import { alignmentKinds } from './golden-kinds/alignment.ts';
import { finetuningDataKinds } from './golden-kinds/finetuning-data.ts';
import { runGoldenKinds } from './support/golden-kinds.ts';

runGoldenKinds([...alignmentKinds, ...finetuningDataKinds]);

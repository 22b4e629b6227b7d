import { formatBytes } from '../../base/units.ts';
import { removeCached } from '../../platform/hub/cache.ts';
import { parseHubName } from '../../platform/hub/names.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { jsonOption } from '../model-options.ts';

export const command = defineCommand({
  options: {
    name: { kind: 'text', required: true, value: 'OWNER/REPO[:QUANT]', help: 'which model' },
    json: jsonOption,
  },
  positionals: ['name'],
  details:
    'Removes a pulled model from the Hugging Face cache: of one quantization its files, without one all of the repository.',
  async run({ name, json }, io) {
    const freedBytes = removeCached(parseHubName(name));
    if (json) writeJson(io.stdout, { name, freedBytes });
    else writeLine(io.stdout, `${name}: ${formatBytes(freedBytes)} are free again`);
  },
});

import { isHubName } from '../../platform/hub/names.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { pullModel } from '../model/pull-model.ts';
import { jsonOption } from '../model-options.ts';

export const command = defineCommand({
  options: {
    name: { kind: 'text', required: true, value: 'OWNER/REPO[:QUANT]', help: 'which model; @revision may follow' },
    offline: { kind: 'flag', help: 'ask nobody: only say where it is' },
    json: jsonOption,
  },
  positionals: ['name'],
  details:
    'Fetches a model from the Hugging Face hub into its cache, which other tools share, and prints its path. ' +
    'A download that broke off goes on where it stopped; every file is checked against its digest. Without a quantization: ' +
    'Q4_K_M, else the next usual one; repositories without GGUF files give safetensors. ' +
    'HF_TOKEN is the token for private and gated models, HF_ENDPOINT another hub, HF_HUB_CACHE or HF_HOME another cache.',
  examples: [
    ['pull owner/repo:Q4_K_M', 'one quantization'],
    ['run hf:owner/repo "Once upon a time"', 'fetched when it is not here yet'],
  ],
  async run({ name, offline, json }, io) {
    const path = await pullModel(name, io, { offline, json });
    if (json) writeJson(io.stdout, { name: isHubName(name) ? name : `hf:${name}`, path });
    else writeLine(io.stdout, path);
  },
});

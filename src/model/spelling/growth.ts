/** Rotations of a family whose queries grow, too: with their position, in steps of the context before YaRN stretched it. */
import { isObject } from '../../formats/json.ts';
import { shortestF32 } from '../checkpoint/shortest.ts';
import type { LlamaConfig } from '../config.ts';
import type { Fact } from './relative.ts';
import { rope } from './rope.ts';

const HF_KEY = 'llama_4_scaling_beta';
const GGUF_KEY = 'attention.temperature_scale';

function growthOf(slope: number, { ropeScaling }: Partial<LlamaConfig>): Pick<LlamaConfig, 'queryGrowth'> {
  const interval = ropeScaling?.kind === 'yarn' ? ropeScaling.originalContextLength : null;
  return { queryGrowth: slope && interval ? { interval, offset: 0, slope, blocks: 'all' } : null };
}

export function growingRope(): Fact {
  const plain = rope({ others: [HF_KEY] });
  return {
    fields: [...plain.fields, 'queryGrowth'],
    readHf: (keys, known) => {
      const slope = ['rope_parameters', 'rope_scaling'].map((key) => keys.peek(key)).find(isObject)?.[HF_KEY];
      const read = plain.readHf(keys, known);
      return { ...read, ...growthOf(typeof slope === 'number' ? slope : 0, read) };
    },
    writeHf: (config) => {
      const written = plain.writeHf(config);
      const { queryGrowth } = config;
      const scaling = written.rope_scaling as Record<string, unknown> | undefined;
      return {
        ...written,
        ...(queryGrowth && scaling && { rope_scaling: { ...scaling, [HF_KEY]: queryGrowth.slope } }),
      };
    },
    readGguf: (keys, known, file) => {
      const slope = shortestF32(keys.number(GGUF_KEY, 0));
      const read = plain.readGguf(keys, known, file);
      return { ...read, ...growthOf(slope, read) };
    },
    writeGguf: (config) => [
      ...plain.writeGguf(config),
      ...(config.queryGrowth === null ? [] : ([[GGUF_KEY, 'f32', config.queryGrowth.slope]] as const)),
    ],
  };
}

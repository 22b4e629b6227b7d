/** golden/alignment/nf4: codes, bytes and dequantized values of bitsandbytes' format, bit for bit. */
import {
  decodeNf4,
  dynamicMap,
  encodeNf4,
  nf4Codes,
  nf4Levels,
  quantizeScales,
  restoreScales,
} from '../../src/quant/nf4.ts';
import { readFacts } from '../support/golden-facts.ts';
import { type AnyGoldenKind, named } from '../support/golden-kinds.ts';

interface Nf4File {
  readonly nf4_codebook: number[];
  readonly dynamic_map_8bit_signed: number[];
  readonly cases: readonly {
    readonly name: string;
    readonly shape: number[];
    readonly blocksize: number;
    readonly values: number[];
    readonly codes: number[];
    readonly packed_high_nibble_first: number[];
    readonly absmax: number[];
    readonly dequantised: number[];
    readonly bits_per_weight: number;
    readonly bits_per_weight_double: number;
    readonly double: {
      readonly offset: number;
      readonly absmax_codes: number[];
      readonly absmax_blocksize: number;
      readonly absmax_absmax: number[];
      readonly absmax_dequantised: number[];
      readonly dequantised: number[];
    };
  }[];
}

/** The map's last bit, and the order in which a mean is summed, are not defined: see the golden README. */
const MAP = { rtol: 1.2e-7, atol: 1e-12 };
const DOUBLE = { rtol: 1e-6, atol: 1e-9 };

export const nf4Kinds: readonly AnyGoldenKind[] = [
  {
    name: 'alignment/nf4',
    matches: named('alignment', 'nf4'),
    devices: [],
    run: ({ path }, check) => {
      const { facts, finish } = readFacts<Nf4File>(path);
      check.exact('levels', [...nf4Levels], facts.nf4_codebook);
      check.close('dynamic map', dynamicMap, facts.dynamic_map_8bit_signed, MAP);
      for (const item of facts.cases) {
        const at = item.name;
        check.exact(
          `${at}: count`,
          item.values.length,
          item.shape.reduce((a, b) => a * b, 1),
        );
        const stored = encodeNf4(Float32Array.from(item.values), item.blocksize);
        check.exact(`${at}: codes`, [...nf4Codes(stored)], item.codes);
        check.exact(`${at}: bytes`, [...stored.packed], item.packed_high_nibble_first);
        check.exact(`${at}: absmax`, [...stored.absmax], item.absmax);
        const decoded = new Float32Array(item.values.length);
        decodeNf4(stored, decoded);
        check.exact(`${at}: dequantized`, decoded, Float32Array.from(item.dequantised));
        const double = quantizeScales(stored.absmax, item.double.absmax_blocksize);
        check.close(`${at}: offset`, [double.offset], [item.double.offset], DOUBLE);
        check.exact(`${at}: codes of absmax`, [...double.codes], item.double.absmax_codes);
        check.close(`${at}: absmax of absmax`, double.absmax, item.double.absmax_absmax, DOUBLE);
        const absmax = restoreScales(double);
        check.close(`${at}: restored absmax`, absmax, item.double.absmax_dequantised, DOUBLE);
        decodeNf4({ ...stored, absmax }, decoded);
        check.close(`${at}: dequantized twice`, decoded, item.double.dequantised, DOUBLE);
        const bits = 4 + 32 / item.blocksize;
        check.exact(`${at}: bits`, bits, item.bits_per_weight);
        const double_bits = 4 + 8 / item.blocksize + 32 / (item.blocksize * item.double.absmax_blocksize);
        check.exact(`${at}: bits, double`, double_bits, item.bits_per_weight_double);
      }
      check.cases += facts.cases.length;
      finish(check);
    },
  },
];

/**
 * Lesson 5: SwiGLU, the feed-forward layer.
 *
 *   hidden = swish(x · W_gateᵀ) · (x · W_upᵀ)        swish(x) = x · σ(x)        output = hidden · W_downᵀ
 *
 * The gate decides how much of “up” passes. So that three matrices hold as many weights as two of width 4·D, the width is about 8/3·D.
 * Source: Shazeer 2020, arXiv:2002.05202. Pictures: /explore/#scene=swiglu
 */
import { Llama } from 'cria';

await using model = await Llama.load();
const { width: D, ffnWidth: F } = model.config;
const ids = model.tokenizer.encode('Once upon a time', { bos: true });
const last = ids.length - 1;

const trace = await model.trace(ids, ['blocks.3.feedForward.*', 'blocks.3.output'], { rows: [last] });
const of = (part: string) => trace.get(`blocks.3.feedForward.${part}`).data;

const swish = (x: number) => x / (1 + Math.exp(-x));
const hidden = of('gate').map((gate, f) => swish(gate) * of('up')[f]!);
const furthest = Math.max(...hidden.map((value, f) => Math.abs(value - of('hidden')[f]!)));
console.log(`width ${F} = ${(F / D).toFixed(2)} · ${D}; formula against model: ${furthest}`);

// Most gates are nearly closed; a few columns do the work.
const open = of('gate').filter((gate) => swish(gate) > 0.5).length;
const order = [...of('hidden').keys()].sort((a, b) => Math.abs(of('hidden')[b]!) - Math.abs(of('hidden')[a]!));
console.log(`${open} of ${F} gates pass more than half`);
for (const f of order.slice(0, 5)) {
  console.log(
    `column ${f}: gate ${of('gate')[f]!.toFixed(3)}, up ${of('up')[f]!.toFixed(3)}, hidden ${of('hidden')[f]!.toFixed(3)}`,
  );
}

// The last matrix leads back to the width: one column of the result by hand. (The model rounds its inputs to 8 bits for speed.)
const row = await model.parameterRows('blocks.3.wDown_DF', 0, 1);
const byHand = row.reduce((sum, weight, f) => sum + weight * hidden[f]!, 0);
console.log('output column 0 by hand', byHand.toFixed(3), 'model', of('output')[0]!.toFixed(3));

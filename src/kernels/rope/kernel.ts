/** RoPE on neighbouring pairs (reference.ts has the formula), and its gradient: back by the same angle (backward.reference.ts). */
import { into, intoOrOnto } from '../units.ts';
import { each } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, type I32, I32x4 } from '../writer/values.ts';

/** `rotation`: cos and sin of each pair, E numbers a row; Q: numbers of a row of x. Unit = one row. */
const takes = { y: 'pointer', x: 'pointer', rotation: 'pointer', Q: 'count', E: 'count' } as const;

export const rope = task('rope', takes, (operands, units) => turn({ ...operands, adds: null }, units));

/** y (+)= x turned back. */
export const ropeBackward = task('ropeBackward', { ...takes, adds: 'count' }, turn);

/** Back where results may be added, which only gradients are. */
function turn(
  { y, x, rotation, Q, E, adds }: Record<keyof typeof takes, I32> & { readonly adds: I32 | null },
  { first, last }: { readonly first: I32; readonly last: I32 },
): void {
  const rowBytes = Q.mul(4);
  const headBytes = E.mul(4);
  const whole = E.and(~3).mul(4);
  // the sign bit of the lanes that subtract: even ones, and the other way odd ones
  const [a, b] = adds ? [1, 3] : [0, 2];
  const signs = I32x4.splat(0).insert(a, -0x80000000).insert(b, -0x80000000);
  each(first, last, 1, (n) => {
    const turns = rotation.add(n.mul(headBytes));
    each(0, rowBytes, headBytes, (head) => {
      const from = x.add(n.mul(rowBytes)).add(head);
      const to = y.add(n.mul(rowBytes)).add(head);
      each(0, whole, 16, (at) => {
        const a = F32x4.load(from.add(at));
        const turn = F32x4.load(turns.add(at));
        const cos = turn.shuffle(turn, 0, 0, 2, 2);
        const sin = turn.shuffle(turn, 1, 1, 3, 3);
        const crossed = a.shuffle(a, 1, 0, 3, 2).mul(sin);
        const turned = a.mul(cos).add(crossed.xor(signs));
        if (adds) intoOrOnto(to, adds, (results) => results.vector(at, turned));
        else into(to).vector(at, turned);
      });
      each(whole, headBytes, 8, (at) => {
        const [a, b] = [F32.load(from.add(at)), F32.load(from.add(at), 4)];
        const [cos, sin] = [F32.load(turns.add(at)), F32.load(turns.add(at), 4)];
        const [up, down] = adds ? [b.mul(sin), a.mul(sin).neg()] : [b.mul(sin).neg(), a.mul(sin)];
        const turned = [a.mul(cos).add(up), b.mul(cos).add(down)];
        turned.forEach((number, i) => {
          if (adds) intoOrOnto(to, adds, (results) => results.number(at.add(4 * i), number));
          else into(to).number(at.add(4 * i), number);
        });
      });
    });
  });
}

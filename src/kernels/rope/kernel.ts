/** RoPE on neighbouring pairs (reference.ts has the formula). */
import { each, store } from '../writer/statements.ts';
import { task } from '../writer/task.ts';
import { F32, F32x4, I32x4 } from '../writer/values.ts';

/** `rotation`: cos and sin of each pair, E numbers a row; Q: numbers of a row of x. Unit = one row. */
export const rope = task(
  'rope',
  { y: 'pointer', x: 'pointer', rotation: 'pointer', Q: 'count', E: 'count' },
  ({ y, x, rotation, Q, E }, { first, last }) => {
    const rowBytes = Q.mul(4);
    const headBytes = E.mul(4);
    const whole = E.and(~3).mul(4);
    // the sign bit of even lanes: they subtract, odd ones add
    const signs = I32x4.splat(0).insert(0, -0x80000000).insert(2, -0x80000000);
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
          store(to.add(at), a.mul(cos).add(crossed.xor(signs)));
        });
        each(whole, headBytes, 8, (at) => {
          const [a, b] = [F32.load(from.add(at)), F32.load(from.add(at), 4)];
          const [cos, sin] = [F32.load(turns.add(at)), F32.load(turns.add(at), 4)];
          store(to.add(at), a.mul(cos).add(b.mul(sin).neg()));
          store(to.add(at), b.mul(cos).add(a.mul(sin)), 4);
        });
      });
    });
  },
);

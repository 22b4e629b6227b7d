import { Automaton, type Position } from './automaton.ts';
import type { Expression } from './expression.ts';
import { buildNetwork } from './network/network.ts';

/** Whether a text is one of an expression's, which has no rules. */
export function accepts(expression: Expression, text: string): boolean {
  const automaton = automatonOf(expression);
  const { classOf } = automaton.network;
  automaton.renew();
  let at: Position | null = automaton.start;
  for (const byte of new TextEncoder().encode(text)) at = at && automaton.step(at, classOf[byte]!);
  return at?.isAccepting === true;
}

const automata = new WeakMap<Expression, Automaton>();

function automatonOf(expression: Expression): Automaton {
  const known = automata.get(expression);
  if (known) return known;
  const rules = new Map<string, Expression>([['root', { kind: 'choice', options: [expression, never] }]]);
  const automaton = new Automaton(buildNetwork({ rules, root: 'root' }));
  automata.set(expression, automaton);
  return automaton;
}

/** A text that no UTF-8 text is: it keeps an impossible expression from making an impossible grammar. */
const never: Expression = { kind: 'byte', from: 0xff, to: 0xff };

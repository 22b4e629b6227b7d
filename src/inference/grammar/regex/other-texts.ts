/** All texts but a few, as an automaton: a trie of those few, and a way out of it at every letter that is none of theirs. */
import { anyCharacter, type CharacterSet, characterSet, complement } from '../characters.ts';
import type { Expression, GraphEdge } from '../expression.ts';

const ROOT = 0;
/** Any text: every character leads back here. */
const FREE = 1;
/** One of the words has been read, and no other goes on from it. */
const WORD = 2;

/** Some words' common beginning. */
interface Node {
  state: number;
  readonly children: Map<number, Node>;
  isWord: boolean;
}

/**
 * Every text that is none of `words`. The same as `terms.not(terms.words(words))`, in time and states that grow with the words' letters.
 * `spell`: a character of a set as it stands in the grammar's text.
 */
export function otherTexts(words: readonly string[], spell: (set: CharacterSet) => Expression): Expression {
  const root: Node = { state: ROOT, children: new Map(), isWord: false };
  const inner = [root];
  let stateCount = 3;
  for (const word of words) {
    let at = root;
    for (const letter of word) {
      const point = letter.codePointAt(0)!;
      if (at.state === WORD) {
        at.state = stateCount++;
        inner.push(at);
      }
      let next = at.children.get(point);
      if (!next) at.children.set(point, (next = { state: WORD, children: new Map(), isWord: false }));
      at = next;
    }
    at.isWord = true;
  }
  const any = spell(anyCharacter);
  const edges: GraphEdge[] = [
    { from: FREE, to: FREE, label: any },
    { from: WORD, to: FREE, label: any },
  ];
  const finals = [FREE];
  for (const { state, children, isWord } of inner) {
    if (!isWord) finals.push(state);
    const targets = new Map<number, number[]>();
    for (const [point, child] of children) targets.set(child.state, [...(targets.get(child.state) ?? []), point]);
    for (const [to, points] of targets) put(state, to, setOf(points));
    put(state, FREE, complement(setOf([...children.keys()])));
  }
  return { kind: 'graph', stateCount, finals, edges };

  function put(from: number, to: number, set: CharacterSet): void {
    if (set.length > 0) edges.push({ from, to, label: spell(set) }); // half of a surrogate pair is no character
  }
}

function setOf(points: readonly number[]): CharacterSet {
  return characterSet(points.map((point) => [point, point] as const));
}

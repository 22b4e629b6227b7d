import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Conversation,
  contentOf,
  type Message,
  merged,
  pathOf,
  refreshed,
  searchText,
  showing,
  titleOf,
  versionsOf,
  withMessage,
  withoutMessage,
} from './conversation.ts';

const empty: Conversation = { id: 'c', title: '', changed: 0, system: '', messages: [], leaf: null };
const said = (id: string, parent: string | null, role: Message['role'] = 'user'): Message => ({
  id,
  parent,
  role,
  content: `text of ${id}`,
});
const of = (...messages: Message[]) => messages.reduce(withMessage, empty);
const shown = (conversation: Conversation) => pathOf(conversation).map(({ id }) => id);

/** q1 → a1, a2; q1b beside q1 → b1; a1 → q2 → c1 */
const tree = of(
  said('q1', null),
  said('a1', 'q1', 'assistant'),
  said('q2', 'a1'),
  said('c1', 'q2', 'assistant'),
  said('a2', 'q1', 'assistant'),
  said('q1b', null),
  said('b1', 'q1b', 'assistant'),
);

test('what was added last is shown; another version brings back what followed it', () => {
  deepStrictEqual(shown(tree), ['q1b', 'b1']);
  strictEqual(tree.title, 'text of q1b');
  deepStrictEqual(
    versionsOf(tree, tree.messages[0]!).map(({ id }) => id),
    ['q1', 'q1b'],
  );
  deepStrictEqual(shown(showing(tree, 'q1')), ['q1', 'a2']);
  deepStrictEqual(shown(showing(tree, 'a1')), ['q1', 'a1', 'q2', 'c1']);
  strictEqual(withMessage({ ...tree, named: true, title: 'mine' }, said('x', null)).title, 'mine');
});

test('a message that is written on changes in its place, and what is shown stays', () => {
  const at = showing(tree, 'a1');
  const next = withMessage(at, { ...said('a2', 'q1', 'assistant'), content: 'more' });
  deepStrictEqual(shown(next), shown(at));
  strictEqual(next.messages.find(({ id }) => id === 'a2')?.content, 'more');
});

test('a message goes with all that follows it, and comes back by merging', () => {
  const at = showing(tree, 'a1');
  const without = withoutMessage(at, 'a1');
  deepStrictEqual(
    without.messages.map(({ id }) => id),
    ['q1', 'a2', 'q1b', 'b1'],
  );
  deepStrictEqual(shown(without), ['q1', 'a2']);
  deepStrictEqual(shown({ ...merged(without, at), leaf: at.leaf }), shown(at));
  deepStrictEqual(shown(withoutMessage(of(said('q', null)), 'q')), []);
});

test('two tabs: nothing of either is lost, and each stays at its own place', () => {
  const base = of(said('q', null), said('a', 'q', 'assistant'));
  const one = withMessage(base, said('q1', 'a'));
  const two = withMessage(base, said('q2', 'a'));
  deepStrictEqual(new Set(merged(one, two).messages.map(({ id }) => id)), new Set(['q', 'a', 'q1', 'q2']));
  deepStrictEqual(shown(refreshed(one, merged(two, one), () => false)), ['q', 'a', 'q1']);
  deepStrictEqual(shown(refreshed(base, one, () => false)), ['q', 'a', 'q1'], 'what follows is followed');
  const ours = withMessage(one, { ...said('q1', 'a'), content: 'newer' });
  const kept = refreshed(ours, one, (id) => id === 'q1');
  strictEqual(kept.messages.find(({ id }) => id === 'q1')?.content, 'newer');
  deepStrictEqual(shown(refreshed(one, base, () => false)), ['q', 'a'], 'what another tab deleted is gone');
});

test('a broken tree ends: a parent that is not there, a circle', () => {
  deepStrictEqual(shown({ ...empty, messages: [said('a', 'nobody')], leaf: 'a' }), ['a']);
  const circle = { ...empty, messages: [said('a', 'b'), said('b', 'a')], leaf: 'a' };
  ok(shown(circle).length <= 3);
});

test('files come after the words, in fences that they do not close', () => {
  const content = contentOf({ content: 'Look:', files: [{ name: 'a.md', text: 'x\n```\ny\n```' }] });
  strictEqual(content, 'Look:\n\na.md:\n````\nx\n```\ny\n```\n````');
  strictEqual(contentOf({ content: '', files: [{ name: 'a', text: 'b\n' }] }), 'a:\n```\nb\n```');
});

test('searching finds what files say, whatever its case and composition; titles are one short line', () => {
  const conversation = of({ ...said('q', null), files: [{ name: 'f', text: 'CAFE\u0301' }] });
  ok(searchText(conversation).includes('caf\u00e9'));
  strictEqual(titleOf('  a\n b '), 'a b');
  strictEqual(titleOf('x'.repeat(5e6)).length, 49);
});

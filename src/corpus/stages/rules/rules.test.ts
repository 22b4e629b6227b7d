import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { processorClock } from '../../../../test/support/processor-time.ts';
import type { Document } from '../../document.ts';
import type { Stage } from '../stage.ts';
import { type BlockLists, blockAddresses, listEntries } from './blocklist.ts';
import { decontaminate, GramCollector, readGrams } from './decontaminate.ts';
import { fineWeb, fineWebDefaults } from './fineweb.ts';
import { gopherQuality, gopherQualityDefaults, gopherRepetition, gopherRepetitionDefaults } from './gopher.ts';
import { redPajamaSignals, signalsOf } from './redpajama.ts';
import { removeSecrets, secretKinds } from './secrets.ts';
import { treebankWords, wordPunctuation } from './words.ts';

function apply(stage: Stage, text: string, url?: string) {
  const document: Document = { id: 'test', text, attributes: {}, ...(url === undefined ? {} : { url }) };
  const removed: string[] = [];
  const drop = stage.apply(document, { removed: (reason) => removed.push(reason) });
  return { reason: drop?.reason, detail: drop?.detail, text: document.text, removed, attributes: document.attributes };
}

test('words as treebank tokenizers and as NLTK’s WordPunctTokenizer have them', () => {
  deepStrictEqual(treebankWords("Don't stop, it's well-known: 3.5 dollars..."), [
    'Do',
    "n't",
    'stop',
    ',',
    'it',
    "'s",
    'well-known',
    ':',
    '3.5',
    'dollars',
    '...',
  ]);
  deepStrictEqual(wordPunctuation("Don't stop... (now)"), ['Don', "'", 't', 'stop', '...', '(', 'now', ')']);
});

const prose =
  'The old keeper went down to the shore with a lamp that he had to mend, and the boys of the village followed him in silence. ' +
  'They had heard that a ship would be seen before the morning came, and none of them wanted to be the one who missed it.';

test('Gopher quality: each rule by a text that breaks only it', () => {
  const rules = gopherQuality({ ...gopherQualityDefaults, minimumWords: 10, maximumWords: 1000 });
  const cases: [string, string | undefined][] = [
    [prose, undefined],
    ['Much too short a text...', 'fewer than 10 words'],
    ['word '.repeat(1001), 'more than 1000 words'],
    ['We do '.repeat(20), 'words shorter than 3 on average'],
    ['internationalism '.repeat(20), 'words longer than 10 on average'],
    ['# remark '.repeat(20), 'too many # for its words'],
    ['... remark '.repeat(20), 'too many ellipses for its words'],
    ['• first the thing to have\n'.repeat(20), 'too many lines begin with a bullet'],
    [`${`${prose}…\n`.repeat(2)}${prose}`, 'too many lines end with an ellipsis'],
    ['pears and ./!*?<> plums <?///> with ++ !<>?? the rest '.repeat(10), 'too many words without a letter'],
    ['Several sentences without those particular little pieces. '.repeat(4), 'fewer than 2 stop words'],
  ];
  for (const [text, reason] of cases) strictEqual(apply(rules, text).reason, reason, text.slice(0, 60));
});

test('Gopher repetition: lines, paragraphs, top n-grams, repeated n-grams', () => {
  const rules = gopherRepetition(gopherRepetitionDefaults);
  const cases: [string, string | undefined][] = [
    [prose, undefined],
    ['Here I am again.\n'.repeat(4), 'too many repeated lines'],
    ['Here I am again.\n\n'.repeat(4), 'too many repeated paragraphs'],
    [
      `We are here.\n\nNobody else is.\n\nThat is all there is.\n\n${`${'y'.repeat(30)}.\n\n`.repeat(2)}`,
      'too much text in repeated paragraphs',
    ],
    [
      `We are here.\nNobody else is.\nThat is all there is.\n${`${'y'.repeat(40)}.\n`.repeat(2)}`,
      'too much text in repeated lines',
    ],
    ['I am Peter, I am Peter, I am Peter', 'too much text in one 2-gram'],
    ['I am Peter, you are Paul. I am Peter. I am Peter you are Paul', 'too much text in one 3-gram'],
    [`${'I am a happy traveller '.repeat(4)}${prose.slice(0, 230)}`, 'too much text in repeated 5-grams'],
  ];
  for (const [text, reason] of cases) strictEqual(apply(rules, text).reason, reason, text.slice(0, 60));
});

test('FineWeb: end marks, short lines, repeated lines, lists', () => {
  const rules = fineWeb(fineWebDefaults);
  const cases: [string, string | undefined][] = [
    [prose, undefined],
    ['  \n ', 'no text'],
    [`${prose.slice(0, 60)}\n`.repeat(1), 'too few lines end with a mark'],
    [`${prose}\n${'A short line.\n'.repeat(3)}`, 'too many short lines'],
    [`${prose}\n${prose}`, 'too much text in repeated lines'],
    [
      `${prose}\n\n${Array.from({ length: 60 }, (_, i) => `${'long'.repeat(9)}${i}.`).join('\n')}`,
      'too many lines for its words',
    ],
  ];
  for (const [text, reason] of cases) strictEqual(apply(rules, text).reason, reason, text.slice(0, 60));
  strictEqual(apply(fineWeb({ ...fineWebDefaults, allowNone: true }), prose.slice(0, 60)).reason, undefined);
});

test('RedPajama signals of a text worked out by hand', () => {
  const signals = signalsOf('Big CATS {run} fast. Lorem ipsum…\nbig cats run.\n');
  // Raw words: Big CATS { run } fast . Lorem ipsum … big cats run .      normalised: big cats run fast lorem ipsum… big cats run
  strictEqual(signals.rps_doc_word_count, 9);
  strictEqual(signals.rps_doc_num_sentences, 2);
  strictEqual(signals.rps_doc_mean_word_length, (3 + 4 + 3 + 4 + 5 + 6 + 3 + 4 + 3) / 9);
  strictEqual(signals.rps_doc_symbol_to_word_ratio, 1 / 14);
  strictEqual(signals.rps_doc_frac_lines_end_with_ellipsis, 1 / 2);
  strictEqual(signals.rps_doc_frac_no_alph_words, 5 / 14);
  strictEqual(signals.rps_doc_frac_unique_words, 6 / 9);
  strictEqual(signals.rps_doc_frac_all_caps_words, 1 / 14);
  strictEqual(signals.rps_doc_curly_bracket, 2 / 48);
  strictEqual(signals.rps_doc_frac_chars_top_2gram, ((3 + 4) * 2) / 35);
  strictEqual(signals.rps_doc_frac_chars_top_3gram, ((3 + 4 + 3) * 2) / 35);
  strictEqual(signals.rps_doc_frac_chars_top_4gram, 0);
  const twice = signalsOf('a bb ccc dd e f a bb ccc dd e');
  strictEqual(twice.rps_doc_frac_chars_dupe_5grams, 18 / 19);
  strictEqual(twice.rps_doc_frac_chars_dupe_6grams, 0);
  const entropy = -(3 * (2 / 9) * Math.log(2 / 9) + 3 * (1 / 9) * Math.log(1 / 9));
  ok(Math.abs(signals.rps_doc_unigram_entropy! - entropy) < 1e-12);
  const { attributes } = apply(redPajamaSignals(), '');
  strictEqual(attributes.rps_doc_word_count, 0);
  strictEqual(attributes.rps_doc_mean_word_length, undefined, 'nothing to measure in nothing');
});

test('block lists: domains with all below them, addresses with all below them, words and parts', () => {
  const none: BlockLists = { domains: [], urls: [], words: [], softWords: [], parts: [], softWordCount: 2 };
  const lists = listEntries('# a list\nbad.example\nhttp://www.Site.org/shop/ # and what lies below\n\n');
  deepStrictEqual(lists, ['bad.example', 'http://www.Site.org/shop/']);
  const cases: [Partial<BlockLists>, string, string | undefined][] = [
    [{ domains: lists }, 'https://www.a.BAD.example:8080/x', 'a blocked domain'],
    [{ domains: lists }, 'https://notbad.example/', undefined],
    [{ domains: ['co.uk'] }, 'https://bbc.co.uk/', 'a blocked domain'],
    [{ urls: lists }, 'http://site.org/shop/things?id=1', 'a blocked address'],
    [{ urls: lists }, 'http://site.org/shopping', undefined],
    [{ words: ['casino'] }, 'http://x.org/Best-CASINO-2024', 'a blocked word in the address'],
    [{ words: ['casino'] }, 'http://x.org/casinos', undefined],
    [{ softWords: ['free', 'cam'] }, 'http://x.org/free', undefined],
    [{ softWords: ['free', 'cam'] }, 'http://free.org/cam', '2 suspect words in the address'],
    [{ parts: ['casino'] }, 'http://x.org/my-cas-ino-s', 'a blocked word within the address'],
  ];
  for (const [given, url, reason] of cases) {
    strictEqual(apply(blockAddresses({ ...none, ...given }), 'text', url).reason, reason, url);
  }
  strictEqual(apply(blockAddresses({ ...none, domains: lists }), 'no address').reason, undefined);
});

test('secrets in code are masked or cost the file; what only looks like one stays', () => {
  // Written in pieces, so that this file holds none.
  const found: [string, string][] = [
    ['aws key', `id = "${'AKIA'}${'QWERTY12UIOP34AS'}"`],
    ['github token', `export T=${'ghp'}_${'aB3dE5fG7h'.repeat(4)}`],
    ['slack token', `${'xoxb'}-123456789012-abcdefGHIJ`],
    ['google key', `key: ${'AIza'}${'Sy0123456789abcdefghijklmnopqrstuv_'}`],
    ['private key', `-----BEGIN RSA ${'PRIVATE'} KEY-----\nMIIE\n-----END RSA ${'PRIVATE'} KEY-----`],
    ['json web token', `${'eyJ'}hbGciOiJIUzI1NiJ9.${'eyJ'}zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N`],
    ['password in address', `postgres://admin:${'hunter2x'}@db.example/x`],
    ['assignment', `api_key = "${'q8Zt3LmX0vB7nK5c'}"`],
  ];
  for (const [kind, text] of found) {
    const masked = apply(removeSecrets(secretKinds, 'mask'), text);
    match(masked.text, /\[SECRET\]/, kind);
    ok(masked.removed.includes(`${kind} masked`), `${kind}: ${masked.removed}`);
    strictEqual(apply(removeSecrets(secretKinds, 'drop'), text).reason, 'a secret', kind);
  }
  for (const text of [
    'password = "changeme"',
    'token: "your_token_here"',
    'AKIA is a prefix',
    'http://user@host/x',
    'secret = os.environ["X"]',
  ]) {
    strictEqual(apply(removeSecrets(secretKinds, 'mask'), text).text, text);
  }
});

test('decontamination: a run of 13 words in another case, with other marks and accents, is found, one of 12 is not', () => {
  const words = Array.from({ length: 30 }, (_, i) => `Wort${'abcdefghijklmnopqrstuvwxyzäöü+'[i]}`);
  const collector = new GramCollector(13);
  collector.add('quiz', words.join(' '));
  collector.add('short', 'only four words here');
  const grams = readGrams(collector.encode(), 13, collector.sets);
  const stage = decontaminate(grams, 1);
  const inside = (from: number, count: number) =>
    `Before it, ${words
      .slice(from, from + count)
      .join(', ')
      .toUpperCase()}! And after.`;
  deepStrictEqual(
    [apply(stage, inside(4, 13)).reason, apply(stage, inside(4, 12)).reason],
    ['text of quiz', undefined],
  );
  match(apply(stage, inside(4, 14)).detail!, /^2 runs of 13 words, first: worte wortf/);
  strictEqual(apply(decontaminate(grams, 3), inside(4, 14)).reason, undefined);
  strictEqual(apply(stage, 'only four words here').reason, undefined);
});

test('rules stay linear on texts without end', () => {
  const stages = [
    gopherQuality(gopherQualityDefaults),
    gopherRepetition(gopherRepetitionDefaults),
    fineWeb(fineWebDefaults),
    redPajamaSignals(),
    removeSecrets(secretKinds, 'mask'),
  ];
  for (const unit of ['a', 'a ', '-----BEGIN PRIVATE KEY-----', 'x://', 'eyJa.', '#', '\n', 'token="']) {
    for (const stage of stages) {
      const took = processorClock();
      apply(stage, unit.repeat(100_000 / unit.length));
      ok(took() < 8000, `${stage.name} on ${JSON.stringify(unit)}`);
    }
  }
});

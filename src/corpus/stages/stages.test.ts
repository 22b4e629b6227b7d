import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { missing, shared } from '../../../test/support/shared.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { HashMap64 } from '../dedup/hash-set.ts';
import type { LineNormalisation } from '../dedup/line-hash.ts';
import { type KeepPolicy, mergeRuns, RunCollector } from '../dedup/runs.ts';
import type { Attributes, Document } from '../document.ts';
import { badWords, c4Quality, c4Variants, sentenceCount, splitSentences } from './c4.ts';
import {
  collectHashes,
  type DedupItem,
  removeDuplicateDocuments,
  removeDuplicateLines,
  removeDuplicatePassages,
  removeDuplicateSpans,
} from './dedup.ts';
import { codeExtensions, githubQuality, permissiveLicences, removeLicenceHeader } from './github.ts';
import { cleanLatex } from './latex.ts';
import { removeComments } from './latex-comments.ts';
import { expandMacros } from './latex-macros.ts';
import { minimumLength } from './length.ts';
import { bucketOf, ccnetCutoffs, parseCutoffs } from './perplexity.ts';
import { maskPersonalData } from './pii.ts';
import type { Drop, Stage } from './stage.ts';

function apply(stage: Stage, text: string, attributes: Attributes = {}) {
  const document: Document = { id: 'test', text, attributes };
  const removed: string[] = [];
  const drop: Drop | undefined = stage.apply(document, { removed: (reason) => removed.push(reason) });
  return { text: document.text, attributes: document.attributes, removed, reason: drop?.reason };
}

test('the floor counts characters, not UTF-16 units: 300 emoji stay, 299 go', () => {
  strictEqual(apply(minimumLength(300), '😀'.repeat(300)).reason, undefined);
  strictEqual(apply(minimumLength(300), '😀'.repeat(299)).reason, 'shorter than 300 characters');
});

const five = 'One is here. Two is here. Three is here. Four is here. Five is here.';

test('C4 as in the paper: each rule with its reason', () => {
  const paper = c4Quality(c4Variants.paper);
  const page = [
    five,
    'no end mark',
    'too short.',
    `a ${'x'.repeat(1001)} word.`,
    'Please enable JavaScript to see this.',
    'We wait and wait...',
    'See our Privacy Policy for more.',
  ];
  const result = apply(paper, page.join('\n'));
  strictEqual(result.reason, undefined);
  strictEqual(result.text, five);
  deepStrictEqual(result.removed, [
    'no terminal punctuation',
    'fewer than 3 words',
    'a word longer than 1000',
    'javascript',
    'no terminal punctuation',
    'policy or cookie notice',
  ]);
  strictEqual(apply(paper, `${five}\nLorem ipsum dolor sit amet.`).reason, 'lorem ipsum');
  strictEqual(apply(paper, `${five}\nThis { is code.`).reason, 'curly brace');
  strictEqual(apply(paper, `${five}\nThis { is code;`).reason, undefined, 'a line that goes anyway is not looked into');
  strictEqual(apply(paper, 'One is here. Two is here.').reason, 'fewer than 5 sentences');
  strictEqual(apply(paper, `${five}\nCited it here.[12][citation needed]`).text, `${five}\nCited it here.`);
});

test('the variants differ where their sources do', () => {
  const three = 'One is right here now. Two is right here now. Three is right here now.';
  strictEqual(apply(c4Quality(c4Variants.tfds), three).reason, undefined);
  strictEqual(apply(c4Quality(c4Variants.paper), three).reason, 'fewer than 5 sentences');
  deepStrictEqual(apply(c4Quality(c4Variants.tfds), `${three}\nFour words in here.`).removed, ['fewer than 5 words']);
  deepStrictEqual(apply(c4Quality(c4Variants.paper), `${five}\nHe said 'stop right there'`).removed, [
    'no terminal punctuation',
  ]);
  deepStrictEqual(apply(c4Quality(c4Variants.datatrove), `${five}\nHe said 'stop right there'`).removed, []);
  strictEqual(apply(c4Quality(c4Variants.tfds), 'a'.repeat(190_001)).reason, 'longer than 190000 characters');
});

test('sentences by their marks; abbreviations do not end one', () => {
  strictEqual(sentenceCount('Mr. Smith went home. He slept!'), 2);
  strictEqual(sentenceCount('"Is it?" she asked. Yes.'), 2);
  strictEqual(sentenceCount('Version 1.2 is out'), 1);
  strictEqual(sentenceCount(''), 0);
});

test('sentences joined are the text again', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('One two. ', 'Mr. X', '! ', '\n', '\n\n', 'a', ' ', '...', 'E.g. so?" ')),
      (parts) => {
        const text = parts.join('');
        strictEqual(splitSentences(text).join(''), text);
      },
    ),
  );
});

/** Runs both passes over documents in one unit. */
function dedup(
  item: DedupItem,
  texts: readonly string[],
  { keep = 'none' as KeepPolicy, sentences = 3, normalise = 'lower' as LineNormalisation } = {},
) {
  const documents = texts.map((text, i): Document => ({ id: `d${i}`, text, url: text, attributes: {} }));
  const parts: Uint8Array[] = [];
  const source = (bytes: Uint8Array): ByteSource => ({
    name: '',
    byteLength: bytes.length,
    close: () => {},
    readInto: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
  });
  const run = new RunCollector({ spill: source, append: (bytes) => parts.push(bytes) }, 1000);
  for (const document of documents)
    collectHashes(document, item, normalise, sentences, (low, high) => run.add(low, high));
  run.finish();
  const duplicates = new HashMap64();
  mergeRuns([source(Buffer.concat(parts))], { keep, slice: 0, sliceCount: 1 }, (_, low, high, action) =>
    duplicates.set(low, high, action),
  );
  const stage =
    item === 'line'
      ? removeDuplicateLines('d', normalise, duplicates)
      : item === 'span'
        ? removeDuplicateSpans('d', normalise, sentences, duplicates)
        : item === 'passage'
          ? removeDuplicatePassages('d', sentences, duplicates)
          : removeDuplicateDocuments('d', item, normalise, duplicates);
  return documents.map((document) => (stage.apply(document, { removed: () => {} }) ? null : document.text));
}

test("line duplicates as cc_net's code has them: the first appearance goes too, a repeat within a document does not, unless told", () => {
  const pages = ['Home\nOwn a\nOwn a\nhome ', 'HOME\nOwn b', 'Home'];
  deepStrictEqual(dedup('line', pages, { normalise: 'ccnet' }), ['Own a', 'Own b', null]);
  deepStrictEqual(dedup('line', pages, { normalise: 'ccnet', keep: 'first' }), ['Home\nOwn a', 'Own b', null]);
  deepStrictEqual(dedup('line', ['Page 12 of 30', 'page 45 of 61', 'x1\nx2']), [
    'Page 12 of 30',
    'page 45 of 61',
    'x1\nx2',
  ]);
  deepStrictEqual(dedup('line', ['Page 12 of 30\na', 'page 45 of 61\nb'], { normalise: 'ccnet' }), ['a', 'b']);
});

test('whole documents: the first of equal texts stays', () => {
  deepStrictEqual(dedup('document', ['a', 'b', 'A', 'a'], { keep: 'first', normalise: 'exact' }), [
    'a',
    'b',
    'A',
    null,
  ]);
});

test('C4 spans of three sentences: all appearances but the first go, two shared sentences stay', () => {
  const shared = 'One is. Two is. Three is.';
  deepStrictEqual(
    dedup('span', [`Start here. ${shared} End.`, `Other text. ${shared} Last.`, 'One is. Two is. Not three.'], {
      keep: 'first',
    }),
    [`Start here. ${shared} End.`, 'Other text. Last.', 'One is. Two is. Not three.'],
  );
});

test('exact substrings: of a passage all appearances but the first go, wherever it begins, whatever lies between its words', () => {
  const passage = 'it was the best, of times';
  deepStrictEqual(
    dedup('passage', [`So ${passage} indeed.`, `Now it  was the\nbest, of times (again).`, 'it was the worst'], {
      keep: 'first',
      sentences: 6,
    }),
    [`So ${passage} indeed.`, 'Now (again).', 'it was the worst'],
  );
  deepStrictEqual(dedup('passage', [`a ${passage}`, passage, 'alone'], { sentences: 6 }), ['a', null, 'alone']);
  deepStrictEqual(dedup('passage', ['x y x y x y', '水は流れる', '水は流れる。'], { keep: 'first', sentences: 4 }), [
    'x y',
    '水は流れる',
    '。',
  ]);
});

test('exact substrings agree with the definition: a window of tokens that came before, in this text or another, goes', () => {
  const word = fc.constantFrom('a', 'b', 'c', 'dd', 'ee,', 'f.');
  const texts = fc.array(fc.array(word, { maxLength: 40 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 2, max: 5 }), (documents, length) => {
      const seen = new Set<string>();
      const wanted = documents.map((words) => {
        const tokens = words.flatMap((each) => each.match(/\w+|,|\./g)!);
        const isGone = tokens.map(() => false);
        for (let i = 0; i + length <= tokens.length; i++) {
          const window = tokens.slice(i, i + length).join(' ');
          if (seen.has(window)) isGone.fill(true, i, i + length);
          seen.add(window);
        }
        return tokens.filter((_, i) => !isGone[i]).join('');
      });
      const found = dedup(
        'passage',
        documents.map((words) => words.join(' ')),
        { keep: 'first', sentences: length },
      );
      deepStrictEqual(
        found.map((text) => (text ?? '').replace(/\s/g, '')),
        wanted,
      );
    }),
  );
});

test("the line-duplicate example of Stanford's course, byte for byte", {
  skip: missing('real/web/cs336_dedup'),
}, () => {
  const read = (folder: string) =>
    [1, 2, 3, 4, 5].map((i) => readFileSync(shared(`real/web/cs336_dedup/${folder}/doc${i}.txt`), 'utf8'));
  const ours = dedup('line', read('documents_with_line_duplicates'), { normalise: 'exact' });
  deepStrictEqual(
    ours.map((text) => (text ?? '').trim()),
    read('documents_line_deduplicated').map((text) => text.trim()),
  );
});

test('a bad word counts only between non-letters', () => {
  const stage = badWords(['foo bar', 'ass']);
  strictEqual(apply(stage, 'a class of assets').reason, undefined);
  strictEqual(apply(stage, 'what an ASS!').reason, 'a word of the list');
  strictEqual(apply(stage, 'say foo bar.').reason, 'a word of the list');
  strictEqual(apply(badWords([]), 'anything').reason, undefined);
});

const github = githubQuality(
  {
    licences: permissiveLicences,
    maximumLineLength: 1000,
    maximumMeanLineLength: 100,
    minimumAlphanumericShare: 0.25,
    minimumLettersPerToken: 1.5,
    extensions: codeExtensions,
  },
  (text) => text.split(/\b/).length,
);

test('GitHub rules, one reason each', () => {
  const good = { licence: 'MIT', path: 'src/a.ts' };
  const code = 'export function addNumbers(first: number, second: number) {\n  return first + second;\n}\n';
  strictEqual(apply(github, code, good).reason, undefined);
  strictEqual(apply(github, code, { ...good, licence: 'gpl-3.0' }).reason, 'licence not permissive');
  strictEqual(apply(github, code, { path: 'a.ts' }).reason, 'licence not permissive');
  strictEqual(apply(github, code, { ...good, path: 'cert.crt' }).reason, 'file type not kept');
  strictEqual(apply(github, code, { ...good, path: 'x/Makefile' }).reason, undefined);
  strictEqual(apply(github, 'a'.repeat(1001), good).reason, 'a line over 1000 characters');
  strictEqual(
    apply(github, `${'word '.repeat(25)}\n`.repeat(9).trim(), good).reason,
    'lines over 100 characters on average',
  );
  strictEqual(apply(github, '{}();\n'.repeat(20), good).reason, 'under 0.25 letters and digits');
  strictEqual(apply(github, '1 a 2 b 3 c 4 d\n'.repeat(9), good).reason, 'under 1.5 letters a token');
});

test('licence headers go in every comment style, shebangs and other comments stay', () => {
  const stage = removeLicenceHeader();
  strictEqual(apply(stage, '/*\n * Copyright 2020 X\n */\nint a;').text, 'int a;');
  strictEqual(apply(stage, '#!/bin/sh\n# Licensed under MIT\n# by X\n\necho hi\n').text, '#!/bin/sh\necho hi\n');
  strictEqual(apply(stage, '// All rights reserved.\n// X\ncode();').text, 'code();');
  strictEqual(apply(stage, '// What this does.\ncode();').text, '// What this does.\ncode();');
  strictEqual(apply(stage, '#include <a.h>\n').text, '#include <a.h>\n');
});

test('LaTeX: a percent in an address, a path or \\verb begins no comment', () => {
  const cases: [string, string][] = [
    [String.raw`see \url{http://a/b%20c} and % gone`, String.raw`see \url{http://a/b%20c} and`],
    [String.raw`\href[x]{http://a%20{b}%20}{text % gone}`, String.raw`\href[x]{http://a%20{b}%20}{text`],
    [String.raw`\path|a%b| \nolinkurl{c%d} x % gone`, String.raw`\path|a%b| \nolinkurl{c%d} x`],
    [
      String.raw`\verb|50%| \verb*+1%+ \lstinline[x]!2%! ok % no`,
      String.raw`\verb|50%| \verb*+1%+ \lstinline[x]!2%! ok`,
    ],
    ['% \\begin{verbatim}\nx % y\nz', 'x\nz'],
    [
      '\\begin{lstlisting}\n% kept\n\\iffalse\n\\end{lstlisting} a % b',
      '\\begin{lstlisting}\n% kept\n\\iffalse\n\\end{lstlisting} a',
    ],
  ];
  for (const [source, cleaned] of cases) strictEqual(removeComments(source), cleaned);
});

test('LaTeX conditionals whose outcome stands in them: the part that is read stays', () => {
  const cases: [string, string][] = [
    ['a\\iftrue x\\else y\\fi b', 'a x b'],
    ['a\\iffalse x\\ifdraft y\\else z\\fi w\\else kept\\fi b', 'a kept b'],
    ['a\\if0\nhidden\\fi b', 'a b'],
    ['a\\if1\nshown\\else no\\fi b', 'a\nshown b'],
    ['\\if00 x\\fi\\if01 y\\fi\\if11 z\\fi', ' x z'],
    ['\\newcommand{\\blind}{0}\\if0\\blind{T}\\fi\\if1\\blind{U}\\fi', '\\newcommand{\\blind}{0}{T}'],
    ['p \\iff q \\iffalse x \\iff y \\ifthenelse{a}{b}{c} \\fi z', 'p \\iff q  z'],
    ['\\newif\\ifdraft \\ifdraft a\\iftrue b\\fi\\else c\\fi', '\\newif\\ifdraft \\ifdraft a b\\else c\\fi'],
    ['a \\iffalse never closed', 'a '],
  ];
  for (const [source, cleaned] of cases) strictEqual(removeComments(source), cleaned);
});

test('LaTeX comments go, escaped percents and the character before stay', () => {
  strictEqual(removeComments('a 5\\% b% gone\n  % whole line\nc\\\\% gone too\nd'), 'a 5\\% b\nc\\\\\nd');
  strictEqual(
    removeComments('x\\begin{verbatim}\n% kept\n\\end{verbatim}y % gone'),
    'x\\begin{verbatim}\n% kept\n\\end{verbatim}y',
  );
  strictEqual(removeComments('a\\iffalse b \\ifx c\\fi d\\else e\\fi f'), 'a e f');
  strictEqual(removeComments('a\\begin{comment}b\\end{comment}c'), 'ac');
});

test('macros are expanded with arguments, optional ones too', () => {
  const source =
    '\\newcommand{\\R}{\\mathbb{R}}\n\\newcommand{\\norm}[1]{\\|#1\\|}\n\\newcommand{\\ball}[2][1]{B_{#1}(#2)}\n\\def\\pair#1#2{(#1,#2)}\n\\DeclareMathOperator{\\tr}{tr}\n$\\norm{x\\in\\R^n}$ $\\ball{y}$ $\\ball[r]{y}$ $\\pair ab$ \\tr A \\Right';
  strictEqual(
    expandMacros(source).text,
    '$\\|x\\in\\mathbb{R}^n\\|$ $B_{1}(y)$ $B_{r}(y)$ $(a,b)$ \\operatorname{tr} A \\Right',
  );
});

test('macro loops and bombs end, and say so', () => {
  for (const source of [
    '\\def\\a{\\a}\\a',
    '\\newcommand{\\a}{\\b\\b}\\newcommand{\\b}{\\a\\a}\\a',
    `${Array.from({ length: 26 }, (_, i) => `\\newcommand{\\${String.fromCharCode(97 + i)}}{${`\\${String.fromCharCode(98 + i)}`.repeat(10)}}`).join('')}\\a`,
    '\\newcommand{\\a}[1]{#1#1}\\a{\\a{\\a{\\a{x}}}}',
  ]) {
    const { text, stopped, expansions } = expandMacros(source);
    ok(text.length < 8_000_000 && expansions <= 200_000);
    if (!source.includes('#1#1')) ok(stopped, source.slice(0, 30));
  }
});

test('an article loses what comes before its first section and from its bibliography on', () => {
  const stage = cleanLatex({ withoutSection: 'drop', expandMacros: true });
  const article =
    '\\documentclass{article}\\newcommand{\\X}{Cria}\n\\begin{document}\\title{T}\n\\section{One}\nText of \\X. % no\n\\begin{thebibliography}\\bibitem{a}\\end{thebibliography}\\end{document}';
  const result = apply(stage, article);
  strictEqual(result.text, '\\section{One}\nText of Cria.');
  deepStrictEqual(result.removed, ['before the first section', 'bibliography and appendix']);
  strictEqual(apply(stage, '\\newenvironment{e}[1]{\\subsection*{#1}}{}\\section{A} b').text, '\\section{A} b');
  strictEqual(apply(stage, '\\renewcommand{x}{\\section{y}}\\begin{document}\\section{A} b').text, '\\section{A} b');
  strictEqual(apply(stage, 'only text').reason, 'no section');
  strictEqual(apply(stage, 'x\\paragraph{A} b\\subparagraph{c}').text, '\\paragraph{A} b\\subparagraph{c}');
});

test('LaTeX cleaning ends on anything', () => {
  const soup = fc.array(
    fc.constantFrom(
      '\\',
      '{',
      '}',
      '%',
      '#1',
      '\\def',
      '\\newcommand',
      '\\a',
      '[',
      ']',
      '\n',
      '\\iffalse',
      '\\fi',
      '\\else',
      '\\section{',
      '\\begin{verbatim}',
      'x',
    ),
    { maxLength: 40 },
  );
  const stage = cleanLatex({ withoutSection: 'keep', expandMacros: true });
  fc.assert(
    fc.property(soup, (parts) => void apply(stage, parts.join(''))),
    { numRuns: 500 },
  );
});

test('real LaTeX: the cleaner example loses its comments, the textbook keeps its text', {
  skip: missing('real/latex/openlogic'),
}, () => {
  const input = readFileSync(shared('real/latex/arxiv_latex_cleaner/input_main.tex'), 'utf8');
  const cleaned = removeComments(input);
  ok(!/(?<!\\)%[^\n]*comment/i.test(cleaned), 'a comment is left');
  match(cleaned, /\\begin\{document\}/);
});

test('buckets: strictly under the cut-off, all where nothing is known; the csv gives the table', {
  skip: missing('real/reference/cc_net/cutoff.csv'),
}, () => {
  deepStrictEqual(
    [339.9, 340, 520].map((p) => bucketOf(p, ccnetCutoffs.en)),
    ['head', 'middle', 'tail'],
  );
  strictEqual(bucketOf(undefined, ccnetCutoffs.en), 'all');
  strictEqual(bucketOf(100, undefined), 'all');
  const table = parseCutoffs(readFileSync(shared('real/reference/cc_net/cutoff.csv'), 'utf8'));
  for (const [language, cutoff] of Object.entries(ccnetCutoffs))
    deepStrictEqual([...table[language]!], [...cutoff], language);
});

test('personal data is masked, dates and versions are not', () => {
  const stage = maskPersonalData(['email', 'ip', 'phone']);
  const result = apply(
    stage,
    'Mail a.b+c@example.co.uk from 192.168.0.1 or call +82 10-1234-5678, (555) 123-4567. Version 1.2.3.4.5 of 2020-10-11.',
  );
  strictEqual(result.text, 'Mail [EMAIL] from [IP] or call [PHONE], [PHONE]. Version 1.2.3.4.5 of 2020-10-11.');
  deepStrictEqual(result.removed, ['email masked', 'ip masked', 'phone masked', 'phone masked']);
});

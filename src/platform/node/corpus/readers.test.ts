import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { missing, shared } from '../../../../test/support/shared.ts';
import { Random } from '../../../base/random.ts';
import type { Document } from '../../../corpus/document.ts';
import { htmlToText } from '../../../corpus/readers/html-text.ts';
import { defaultFields } from '../../../corpus/readers/jsonl.ts';
import type { InputFile } from '../../../corpus/readers/reader.ts';
import type { ReaderChoice } from '../../../corpus/readers/table.ts';
import { createReader, readerRule } from '../../../corpus/readers/table.ts';
import { wikitextToProse } from '../../../corpus/readers/wikitext.ts';
import { openInput, readContext } from './input.ts';

const folder = mkdtempSync(join(tmpdir(), 'readers-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Read {
  documents: Document[];
  problems: string[];
}

async function read(reader: unknown, root: string, name: string, limit = 1 << 25): Promise<Read> {
  const problems: string[] = [];
  const choice = readerRule.check(reader, 'reader', problems) as ReaderChoice;
  strictEqual(problems.length, 0, problems.join());
  const documents: Document[] = [];
  const context = readContext(root, (kind) => void problems.push(kind), limit);
  for await (const document of createReader(choice)(openInput(root, name), context)) documents.push(document);
  return { documents, problems };
}

const real = (reader: unknown, name: string) => read(reader, shared('real'), name);
const skip = { skip: missing('real/MANIFEST.md') };

async function written(reader: unknown, name: string, bytes: Uint8Array | string, limit?: number): Promise<Read> {
  writeFileSync(join(folder, name), bytes);
  return read(reader, folder, name, limit);
}

test(
  "cc_net's sample: three documents with its addresses, titles, dates and text, though its lengths are wrong",
  skip,
  async () => {
    const { documents, problems } = await real('wet', 'reference/cc_net/sample.warc.txt');
    const { parse_wet_file: expected } = JSON.parse(
      readFileSync(shared('real/reference/cc_net/expected_results.json'), 'utf8'),
    );
    deepStrictEqual(
      documents.map(({ url }) => url),
      expected.expected_urls,
    );
    deepStrictEqual(
      documents.map(({ title }) => title),
      expected.expected_title,
    );
    deepStrictEqual(
      documents.map(({ date }) => date),
      expected.expected_date,
    );
    strictEqual(documents[0]!.text.trimEnd(), expected.first_document_raw_content.trimEnd());
    ok(problems.every((problem) => problem === 'wrong-length'));
  },
);

test("our text of a page is Common Crawl's own, line by line, for nine lines of ten", skip, async () => {
  const ours = (await real({ warc: { content: 'all' } }, 'web/whirlwind/whirlwind.warc.gz')).documents[0]!;
  const theirs = (await real('wet', 'web/whirlwind/whirlwind.warc.wet.gz')).documents[0]!;
  strictEqual(ours.title, theirs.title);
  const lines = new Set(ours.text.split('\n').map((line) => line.trim()));
  const wanted = theirs.text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const found = wanted.filter((line) => lines.has(line)).length;
  ok(found >= wanted.length * 0.9, `${found} of ${wanted.length} lines`);
});

test('real WARC files of four origins: how many pages each has, and which are broken', skip, async () => {
  const counts: Record<string, [pages: number, problems: string[]]> = {
    'dolma/sample-0000.warc.gz': [22, []],
    'dolma/sample-0001.warc.gz': [15, []],
    'resiliparse/clueweb-quirk.warc.gz': [29, []],
    'resiliparse/warcfile.warc.gz': [16, []],
    'warcio/example.warc.gz': [1, []],
    'warcio/example-iana.org-chunked.warc': [1, []],
    'warcio/example-wrong-chunks.warc.gz': [1, []],
    'warcio/example-trunc.warc': [0, ['wrong-length', 'broken-http']],
    'warcio/example.arc': [1, []],
  };
  for (const [name, [pages, problems]] of Object.entries(counts)) {
    const found = await real('warc', `web/${name}`);
    deepStrictEqual([found.documents.length, found.problems], [pages, problems], name);
  }
  await rejects(real('warc', 'web/resiliparse/clipped.warc.gz'), /unexpected end of file/);
});

test('HTML extraction: what is seen stays, scripts and head go, lines end where blocks do', () => {
  const page =
    '<html><head><title>A &amp; B</title><script>x<y</script></head><body><p>One <b>bold</b>\n word<p>Two<br>three<ul><li>a<li>b</ul><style>p{}</style><pre>x\n  y</pre><td>1<td>2</body>';
  deepStrictEqual(htmlToText(page), { text: 'One bold word\nTwo\nthree\na\nb\nx\n  y\n1 2', title: 'A & B' });
});

test('pages that leave out what may be left out keep their text', () => {
  deepStrictEqual(htmlToText('<title>T</title><p>Hello'), { text: 'Hello', title: 'T' });
  deepStrictEqual(htmlToText('<head><meta a><title>T</title><link b><p>Hello'), { text: 'Hello', title: 'T' });
  deepStrictEqual(htmlToText('just text &copy;'), { text: 'just text ©', title: '' });
  deepStrictEqual(htmlToText('<noscript><p>no</noscript><iframe><p>no</iframe>yes<svg><title>no</title></svg>'), {
    text: 'yes',
    title: '',
  });
});

test('hostile HTML stays linear: unclosed formatting, deep nesting, an endless attribute', () => {
  const formatting = Array.from({ length: 20_000 }, (_, i) => `<b id=${i}>`).join('') + '<p>x'.repeat(20_000);
  for (const page of [
    formatting,
    '<div>'.repeat(100_000),
    `<a ${'x'.repeat(1_000_000)}`,
    '<table><tr>'.repeat(50_000),
    '<script>'.repeat(1000),
  ]) {
    const took = processorClock();
    htmlToText(page);
    ok(took() < 15_000);
  }
});

test('Wikipedia dumps: articles without markup, in Latin and Cyrillic, UTF-8 and UTF-16', skip, async () => {
  const english = await real('wikipedia', 'text/wiki/enwiki-table-markup.xml.bz2');
  strictEqual(english.documents.length, 5);
  for (const { text } of english.documents) ok(!/\{\{|\{\||\[\[|<ref|'''|==/.test(text), text.slice(0, 100));
  match(english.documents[0]!.text, /^The constructive vote of no confidence \(in German/);
  const bulgarian = await real('wikipedia', 'text/wiki/bgwiki-pages-articles-shortened.xml.bz2');
  strictEqual(bulgarian.documents.length, 1);
  match(bulgarian.documents[0]!.text, /[а-я]{5}/);
});

test('wikitext by example', () => {
  const cases: [string, string][] = [
    ["'''Cria''' is a [[llama|baby llama]].<ref name=x>Smith {{p|3}}</ref><!-- no -->", 'Cria is a baby llama.'],
    ['{{Infobox|a={{b|c}}|d}}Text{{!}}', 'Text'],
    ['{| class=x\n|a\n{|\n|inner\n|}\n|}\nAfter', 'After'],
    ['[[File:A.jpg|thumb|A [[link]] inside]]Seen [[Category:X]][[de:Y]]', 'Seen'],
    ['== Head ==\n* item [http://x.y label]\n# [https://z]\n----', 'Head\nitem label'],
    ['A&nbsp;B &amp; &#233; <br/>C', 'A B & é C'],
    [
      '== A ==\n=== B ===\n== C ==\ntext\n=== D ===\n<!-- x -->\n== See also ==\n== References ==\n{{reflist}}',
      'C\ntext',
    ],
    ['== A ==\n=== B ===\ndeep', 'A\nB\ndeep'],
    ['{{unclosed [[link', 'unclosed link'],
    ['a <math>x<y</math> b <gallery>\nF.jpg\n</gallery>c', 'a b c'],
    [
      '&eacute;&Omega;&rarr;&frac12;&lsquo;x&rsquo; &notaname; &amp;nbsp; &#150; &ensp;y',
      'éΩ→½‘x’ &notaname; &nbsp; – y',
    ],
    ['{{convert|5|km|mi|abbr=on}}, {{cvt|10|to|20|kg}}, {{Convert|3|x|4|m|ft}}', '5 km, 10 to 20 kg, 3 × 4 m'],
    [
      '{{formatnum:1234567.25}} and {{formatnum:x}} and {{val|1234|0.5|e=6|u=m}}',
      '1,234,567.25 and x and 1,234 ± 0.5 × 10^6 m',
    ],
    [
      '{{lang|fr|mot [[a|juste]]}}, {{lang-de|Wort}}, {{nowrap|1=a = b}}, {{abbr|Mr|Mister}}',
      'mot juste, Wort, a = b, Mr',
    ],
    [
      'born {{circa|1500}}, {{c.|1500|1510}}, {{frac|1|2}}, {{frac|3|1|4}}, {{fl.|90|100}}',
      'born c. 1500, c. 1500 – c. 1510, 1/2, 3 1/4, fl. 90–100',
    ],
    [
      '{{HMS|Victory}} sank{{snd}}{{nihongo|Tokyo|東京|Tōkyō}}{{cite web|x}}{{sic|teh}}',
      'HMS Victory sank – Tokyo (東京, Tōkyō)teh [sic]',
    ],
    ['{{nowrap|{{lang|la|{{unknown|x}}in vino}} veritas}}', 'in vino veritas'],
  ];
  for (const [source, prose] of cases) strictEqual(wikitextToProse(source), prose);
  const took = processorClock();
  wikitextToProse('{{'.repeat(200_000) + '[['.repeat(200_000) + '<ref>'.repeat(50_000));
  wikitextToProse(`(${' '.repeat(200_000)}\n=${' '.repeat(200_000)}x`);
  ok(took() < 15_000, 'unbalanced markup must not be quadratic');
});

test('StackExchange: every question once, answers by score as numbers', skip, async () => {
  const { documents, problems } = await real('stackexchange', 'stackexchange/coffee/Posts.xml');
  strictEqual(documents.length, 225);
  ok(problems.every((problem) => problem === 'no-question'));
  match(documents[0]!.text, /^Q: How should I store whole bean coffee\?\n[^<]*\nA: In a cool, dark, dry, place/);
  strictEqual((await real('stackexchange', 'stackexchange/history_meta/Posts.xml')).documents.length, 556);
});

test('an answer of score 9 comes after one of score 10, before its question or not', async () => {
  const row = (attributes: string) => `<row ${attributes} />`;
  const posts = `<posts>${row('Id="3" PostTypeId="2" ParentId="1" Score="9" Body="&lt;p&gt;nine&lt;/p&gt;"')}${row('Id="1" PostTypeId="1" Score="2" Title="T &amp;amp; U" Body="&lt;ul&gt;&lt;li&gt;q"')}${row('Id="4" PostTypeId="2" ParentId="1" Score="10" Body="ten"')}${row('Id="5" PostTypeId="2" ParentId="99" Score="1" Body="lost"')}</posts>`;
  const { documents, problems } = await written('stackexchange', 'Posts.xml', posts);
  deepStrictEqual(
    documents.map(({ text }) => text),
    ['Q: T & U\n*q\nA: ten\nA: nine'],
  );
  deepStrictEqual(problems, ['no-question']);
  const cut = await written('stackexchange', 'Cut.xml', posts.slice(0, -40));
  deepStrictEqual([cut.documents.length, cut.problems], [1, ['broken-xml']]);
});

test('Parquet files of the conformance suite: snappy, delta encoding; a cut file is reported', skip, async () => {
  const delta = await real(
    { parquet: { text: 'c_customer_id', attributes: { last: 'c_last_name' } } },
    'formats/parquet/delta_byte_array.parquet',
  );
  strictEqual(delta.documents.length, 1000);
  const [header, first] = readFileSync(shared('real/formats/parquet/delta_byte_array_expect.csv'), 'utf8').split('\n');
  const column = header!.split(',').findIndex((name) => name.includes('c_customer_id'));
  strictEqual(delta.documents[0]!.text, first!.split(',')[column]!.replaceAll('"', ''));
  const plain = await real({ parquet: { text: 'string_col' } }, 'formats/parquet/alltypes_plain.snappy.parquet');
  deepStrictEqual(
    plain.documents.map(({ text }) => text),
    ['0', '1'],
  );
  const bytes = readFileSync(shared('real/formats/parquet/delta_byte_array.parquet'));
  const cut = await written(
    { parquet: { text: 'c_customer_id' } },
    'cut.parquet',
    bytes.subarray(0, bytes.length - 100),
  );
  deepStrictEqual([cut.documents.length, cut.problems], [0, ['broken-file']]);
});

test('JSONL in every compression; U+2028 does not end a line; broken lines cost only themselves', skip, async () => {
  for (const ending of ['', '.gz', '.zst']) {
    const { documents } = await real({ jsonl: { text: 'hello' } }, `formats/jsonl/test.jsonl${ending}`);
    const plain = await real({ jsonl: { text: 'hello' } }, 'formats/jsonl/test.jsonl');
    deepStrictEqual(
      documents.map(({ text }) => text),
      plain.documents.map(({ text }) => text),
      ending,
    );
  }
  const lines = [
    '{"text":"a\u2028b","id":7}',
    '{"text":',
    '[1]',
    '{"text":5}',
    '{"meta":{"text":"x"}}',
    '',
    '{"text":"last"}',
  ].join('\n');
  const { documents, problems } = await written('jsonl', 'mixed.jsonl', lines);
  deepStrictEqual(
    documents.map(({ text, id }) => [text, id]),
    [
      ['a\u2028b', 'mixed.jsonl#0:7'],
      ['last', 'mixed.jsonl#6'],
    ],
  );
  deepStrictEqual(problems, ['broken-record', 'no-text', 'no-text', 'no-text']);
});

test('a line of 100 MB, invalid UTF-8, binary text: skipped or mended, reported, never held', async () => {
  const long = Buffer.concat([
    Buffer.from('{"text":"'),
    Buffer.alloc(100_000_000, 'a'),
    Buffer.from('"}\n{"text":"after"}\n'),
  ]);
  const result = await written('jsonl', 'long.jsonl', long, 1 << 20);
  deepStrictEqual([result.documents.map(({ text }) => text), result.problems], [['after'], ['record-too-large']]);
  const broken = await written(
    'jsonl',
    'utf8.jsonl',
    Buffer.from([...Buffer.from('{"text":"a'), 0xff, 0xfe, ...Buffer.from('b"}')]),
  );
  deepStrictEqual([broken.documents[0]!.text, broken.problems], ['a\ufffd\ufffdb', ['invalid-utf8']]);
  const binary = await written('text', 'binary.txt', 'MZ\0\0');
  deepStrictEqual([binary.documents.length, binary.problems], [0, ['binary']]);
  const book = await written('text', 'book.txt', Buffer.alloc(3_000_000, 'x'), 1 << 20);
  deepStrictEqual([book.documents.length, book.problems], [0, ['record-too-large']]);
});

test('bombs in gzip, zstd and nested archives end with a report', async () => {
  const zeros = Buffer.alloc(100_000_000);
  const inner = gzipSync(zeros, { level: 1 });
  await rejects(written('jsonl', 'bomb.jsonl.gz', inner), /decompression bomb/);
  await rejects(written('jsonl', 'bomb.jsonl.zst', zstdCompressSync(zeros)), /decompression bomb/);
  const nested = await written('arxiv', 'bomb.tar', tar([['p.gz', inner]]), 1 << 22);
  deepStrictEqual([nested.documents.length, nested.problems], [0, ['broken-gzip']]);
});

test('files of a source tree carry the licence of the nearest LICENSE, or their own SPDX line', async () => {
  mkdirSync(join(folder, 'repo/vendor/src'), { recursive: true });
  writeFileSync(
    join(folder, 'repo/LICENSE'),
    'MIT\n\nPermission is hereby granted, free of\ncharge, to any person obtaining a copy of',
  );
  writeFileSync(join(folder, 'repo/vendor/COPYING'), 'GNU GENERAL PUBLIC LICENSE Version 3');
  const licence = async (name: string, text: string) =>
    (await written('code', name, text)).documents[0]!.attributes.licence;
  strictEqual(await licence('repo/a.ts', 'let a;'), 'mit');
  strictEqual(await licence('repo/vendor/src/b.c', 'int b;'), 'gpl');
  strictEqual(await licence('repo/vendor/src/c.c', '// SPDX-License-Identifier: BSD-3-Clause\nint c;'), 'bsd-3-clause');
  strictEqual(await licence('alone.ts', 'let a;'), undefined);
});

test('compressed data followed by something else: the documents before it, and an error instead of a hang', async () => {
  const random = new Random(1);
  const texts = Array.from({ length: 40 }, () =>
    Array.from({ length: 400 }, () => random.uint32().toString(36)).join(''),
  );
  const lines = Buffer.from(texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
  for (const pack of [gzipSync, zstdCompressSync]) {
    const packed = Buffer.concat([pack(lines), Buffer.from('rubbish that is not compressed')]);
    writeFileSync(join(folder, 'tail.gz'), packed);
    const documents: string[] = [];
    const reader = createReader({ name: 'jsonl', options: { ...defaultFields } });
    await rejects(async () => {
      for await (const { text } of reader(
        openInput(folder, 'tail.gz'),
        readContext(folder, () => {}, 100_000),
      ))
        documents.push(text);
    });
    // What the last 16 KiB of the file hold may be lost with the error.
    ok(documents.length >= 25, `${documents.length} of 40`);
    deepStrictEqual(documents, texts.slice(0, documents.length));
  }
  const members = Buffer.concat([gzipSync('{"text":"a"}\n'), gzipSync('{"text":"b"}\n')]);
  deepStrictEqual(
    (await written('jsonl', 'members.gz', members)).documents.map(({ text }) => text),
    ['a', 'b'],
  );
});

test('text with a separator is cut wherever chunks end', async () => {
  const parts = Array.from({ length: 3000 }, (_, i) => `story ${i} ${'x'.repeat(i % 300)}`);
  const { documents } = await written(
    { text: { separator: '<|endoftext|>' } },
    'stories.txt',
    parts.join('<|endoftext|>'),
  );
  deepStrictEqual(
    documents.map(({ text }) => text),
    parts,
  );
});

/** A ustar archive. */
function tar(members: readonly (readonly [name: string, bytes: Uint8Array])[]): Buffer {
  const blocks = members.flatMap(([name, bytes]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\0', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

test('arXiv: single files, papers of several files put together, Latin-1, papers without TeX', async () => {
  const main = '\\documentclass{a}\\begin{document}\\input{parts/one}\n% \\input{parts/two}\n\\end{document}';
  const paper = gzipSync(
    tar([
      ['./main.tex', Buffer.from(main)],
      ['parts/one.tex', Buffer.from('\\section{One}')],
      ['fig.png', Buffer.alloc(10)],
    ]),
  );
  const single = gzipSync(Buffer.from('\\documentclass{a} caf\xe9', 'latin1'));
  const archive = tar([
    ['2001/0001.gz', paper],
    ['2001/0002.gz', single],
    ['2001/0003.gz', gzipSync(tar([['x.pdf', Buffer.alloc(9)]]))],
    ['2001/0004.pdf', Buffer.alloc(5)],
  ]);
  const { documents, problems } = await written('arxiv', 'arXiv_src_2001_001.tar', archive);
  deepStrictEqual(
    documents.map(({ id, text }) => [id, text]),
    [
      [
        'arXiv_src_2001_001.tar/2001/0001',
        '\\documentclass{a}\\begin{document}\\section{One}\n% \\input{parts/two}\n\\end{document}',
      ],
      ['arXiv_src_2001_001.tar/2001/0002', '\\documentclass{a} café'],
    ],
  );
  deepStrictEqual(problems, ['no-text']);
  const own = await written(
    'arxiv',
    'paper.tar.gz',
    gzipSync(
      tar([
        ['a.tex', Buffer.from(main)],
        ['parts/one.tex', Buffer.from('1')],
      ]),
    ),
  );
  match(own.documents[0]!.text, /document}1\n/);
  const cut = await written('arxiv', 'cut.tar', archive.subarray(0, 600));
  deepStrictEqual([cut.documents.length, cut.problems], [0, ['truncated']]);
});

test('bzip2: every truncation and every flipped byte of a real file is noticed', skip, async () => {
  const name = 'text/wiki/enwiki-table-markup.xml.bz2';
  const bytes = readFileSync(shared(`real/${name}`));
  for (const length of [0, 3, 4, 100, 5000, bytes.length - 5]) {
    await rejects(
      written('jsonl', 'cut.bz2', bytes.subarray(0, length)).then((found) => {
        if (length < 4) throw new Error('too short to be known as bzip2, read as text'); // its first bytes say what it is
        return found;
      }),
    );
  }
  for (const at of [5, 20, 3000, 40_000]) {
    const damaged = Uint8Array.from(bytes);
    damaged[at]! ^= 0x10;
    await rejects(written('jsonl', 'damaged.bz2', damaged), { name: 'FormatError' });
  }
});

test('what a reader finds does not depend on where chunks end', skip, async () => {
  const files: [reader: unknown, name: string][] = [
    ['wet', 'reference/cc_net/sample.warc.txt'],
    [{ warc: {} }, 'warcio/example-iana.org-chunked.warc'],
    ['stackexchange', 'posts'],
    [{ text: { separator: '<|endoftext|>' } }, 'text/tinystories_sample.txt'],
    ['jsonl', 'web/dolma/cc_en_head-0174.jsonl'],
  ];
  const posts =
    '<posts><row Id="1" PostTypeId="1" Score="2" Title="Tätä" Body="q"/><row Id="2" ParentId="1" PostTypeId="2" Score="2" Body="ä"/></posts>';
  for (const [reader, name] of files) {
    const path = name.startsWith('warcio') ? `web/${name}` : name;
    const bytes = name === 'posts' ? Buffer.from(posts) : readFileSync(shared(`real/${path}`)).subarray(0, 40_000);
    const readIn = async (size: number): Promise<Read> => {
      const problems: string[] = [];
      const file: InputFile = {
        name: 'file',
        async *chunks() {
          for (let at = 0; at < bytes.length; at += size) yield new Uint8Array(bytes.subarray(at, at + size));
        },
        source: () => {
          throw new Error('not read by offset');
        },
      };
      const documents: Document[] = [];
      const context = readContext(folder, (kind) => void problems.push(kind), 1 << 20);
      for await (const document of createReader(readerRule.check(reader, '', []) as ReaderChoice)(file, context))
        documents.push(document);
      return { documents, problems };
    };
    const whole = await readIn(bytes.length);
    ok(whole.documents.length > 0, name);
    for (const size of [1, 7, 1000, 4093]) deepStrictEqual(await readIn(size), whole, `${name} in chunks of ${size}`);
  }
});

/** Readers of training text. What they cannot read they report; they throw where a stream is broken. */
import { existsSync, readFileSync } from 'node:fs';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { readKenlm } from '../../src/corpus/ngram/kenlm/read.ts';
import { oneChunk } from '../../src/corpus/readers/byte-queue.ts';
import { bunzip2 } from '../../src/corpus/readers/bzip2.ts';
import { htmlToText } from '../../src/corpus/readers/html-text.ts';
import { defaultFields } from '../../src/corpus/readers/jsonl.ts';
import type { InputFile, ReadContext } from '../../src/corpus/readers/reader.ts';
import { createReader, type ReaderChoice } from '../../src/corpus/readers/table.ts';
import { MemorySource } from '../../src/formats/memory-source.ts';
import { kenlmFile, kinds } from '../support/kenlm.ts';
import { shared } from '../support/shared.ts';
import type { Target } from './targets.ts';

const smallArpa =
  '\\data\\\nngram 1=5\nngram 2=2\nngram 3=1\n\n\\1-grams:\n-1\t<unk>\n-9\t<s>\t-0.3\n-1\t</s>\n-1\ta\t-0.2\n-1\tb\t-0.1\n\n' +
  '\\2-grams:\n-0.5\t<s> a\t-0.1\n-0.5\ta b\t-0.2\n\n\\3-grams:\n-0.25\t<s> a b\n\n\\end\\\n';

const bytes = (text: string) => new TextEncoder().encode(text);

const context: ReadContext = {
  problem() {},
  maximumRecordBytes: 1 << 20,
  inflate(kind, data, maximumBytes) {
    const options = { maxOutputLength: maximumBytes };
    if (kind === 'gzip') return gunzipSync(data, options);
    if (kind === 'deflate') return inflateSync(data, options);
    return kind === 'brotli' ? brotliDecompressSync(data, options) : zstdDecompressSync(data, options);
  },
  nearby: () => undefined,
  scratch() {
    const buckets = new Map<number, Uint8Array[]>();
    return {
      append: (bucket, data) => void buckets.set(bucket, [...(buckets.get(bucket) ?? []), data.slice()]),
      read: (bucket) => Uint8Array.from((buckets.get(bucket) ?? []).flatMap((part) => [...part])),
      remove: () => buckets.clear(),
    };
  },
};

function reader(name: ReaderChoice['name'], options: object, file: string): Target['run'] {
  const read = createReader({ name, options } as ReaderChoice);
  return async (data) => {
    const input: InputFile = { name: file, chunks: () => oneChunk(data), source: () => new MemorySource(file, data) };
    for await (const document of read(input, context)) void document.text.length;
  };
}

const warc = (type: string, body: string) =>
  `WARC/1.0\r\nWARC-Type: ${type}\r\nWARC-Target-URI: http://a/\r\nWARC-Date: 2020-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:1>\r\nContent-Length: ${body.length}\r\n\r\n${body}\r\n\r\n`;

const parquetFiles = [
  'alltypes_plain.parquet',
  'alltypes_plain.snappy.parquet',
  'datapage_v2.snappy.parquet',
  'delta_byte_array.parquet',
];

/** `bzip2.compress` of a sentence, three times. */
const bzip2File =
  'QlpoOTFBWSZTWXRC63oAABAdgEAFEAAAQBZk0JAgAFCmAAmg3qqNGQyPU3ZWbSOGGl406ZkWkU+ei8FKaYU/F3JFOFCQdELreg==';

export const corpusTargets: readonly Target[] = [
  {
    name: 'jsonl',
    what: 'JSON lines',
    seeds: () => [bytes('{"text":"a","id":"1"}\n{"text":"b"}\n'), bytes('[{"text":"a"}]')],
    words: ['\n', '"text":', '\\ud800', '{', '}', '\ufeff'],
    run: reader('jsonl', defaultFields, 'a.jsonl'),
  },
  {
    name: 'parquet',
    what: 'Parquet: footer, schema, pages',
    // The files lie in ../shared/real; without them the target is skipped.
    seeds: () =>
      parquetFiles
        .map((file) => shared(`real/formats/parquet/${file}`))
        .filter(existsSync)
        .map((path) => new Uint8Array(readFileSync(path))),
    words: ['PAR1', '\x15\x00', '\x19\x1c'],
    run: reader('parquet', { ...defaultFields, text: 'string_col' }, 'a.parquet'),
  },
  {
    name: 'warc',
    what: 'WARC and WET records, HTTP answers, HTML',
    seeds: () => [
      bytes(warc('conversion', 'Hello there.\nWorld.')),
      bytes(
        warc(
          'response',
          'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n<p>Hello <b>there</b>.</p>..\r\n0\r\n\r\n',
        ),
      ),
    ],
    words: [
      'Content-Length: ',
      'WARC/1.0\r\n',
      '\r\n\r\n',
      'Content-Encoding: gzip\r\n',
      '\x1f\x8b\x08\x00',
      '<p>',
      '&amp;',
    ],
    run: reader('warc', { records: 'both' }, 'a.warc'),
  },
  {
    name: 'wikipedia',
    what: "Wikipedia's XML and wikitext",
    seeds: () => [
      bytes(
        "<mediawiki><page><title>A</title><ns>0</ns><id>1</id><revision><id>2</id><text>'''A''' is [[b|c]] {{t|x={{y}}}} <ref>z</ref>\n{| class=w\n|-\n| a || b\n|}\n== H ==\n* l</text></revision></page></mediawiki>",
      ),
    ],
    words: ['<page>', '</page>', '{{', '}}', '[[', ']]', '{|', '|}', '<ref>', '&lt;', '<!--', "'''", '<![CDATA['],
    run: reader('wikipedia', {}, 'a.xml'),
  },
  {
    name: 'stackexchange',
    what: "Stack Exchange's XML",
    seeds: () => [
      bytes(
        '<posts><row Id="1" PostTypeId="1" Score="3" Title="T" Body="&lt;p&gt;q&lt;/p&gt;" Tags="&lt;a&gt;" /><row Id="2" PostTypeId="2" ParentId="1" Score="5" Body="&lt;p&gt;a&lt;/p&gt;" /></posts>',
      ),
    ],
    words: ['<row ', 'ParentId="1"', 'Score="', '&#x0;', ' />', '&lt;code&gt;'],
    run: reader('stackexchange', {}, 'Posts.xml'),
  },
  {
    name: 'arxiv',
    what: 'LaTeX',
    seeds: () => [
      bytes(
        '\\documentclass{article}\n\\newcommand{\\a}[1]{x #1}\n\\begin{document}\n\\section{S} \\a{y} $z^2$ % c\n\\input{b}\n\\begin{thebibliography}{9}\\bibitem{q} r\\end{thebibliography}\n\\end{document}\n',
      ),
    ],
    words: ['\\begin{', '\\end{', '\\newcommand{\\', '\\def\\', '{', '}', '#1', '\\input{a}', '$', '%', '\\\\'],
    run: reader('arxiv', {}, 'a.tex'),
  },
  {
    name: 'bzip2',
    what: 'bzip2 streams',
    seeds: () => [Uint8Array.from(Buffer.from(bzip2File, 'base64'))],
    words: ['BZh9', '1AY&SY'],
    run: async (data) => {
      for await (const chunk of bunzip2(oneChunk(data), 'a.bz2')) void chunk.length;
    },
  },
  {
    name: 'kenlm',
    what: 'binary language models of KenLM, used on a sentence',
    seeds: () => kinds.map((kind) => kenlmFile(smallArpa, kind)),
    words: ['mmap lm http://kheafield.com/code format version 5', '<unk>'],
    run: (data) => void readKenlm(new MemorySource('m.bin', data)).score(['a', 'b', 'x']),
  },
  {
    name: 'html',
    what: 'HTML as text',
    seeds: () => [
      bytes(
        '<html><body><h1>A</h1><p>b <i>c</i></p><ul><li>d<li>e</ul><pre>f\n g</pre><table><tr><td>1<td>2</table><script>x</script></body></html>',
      ),
    ],
    words: ['<table>', '<td>', '<template>', '<svg>', '</p>', '&nbsp;', '<!--', '<pre>', '<ul><li>', '<select>'],
    run: (data) => void htmlToText(new TextDecoder().decode(data)),
  },
];

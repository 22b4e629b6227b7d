import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import { COMMIT, startHub, type TestHub } from '../../../test/support/hub.ts';
import { startBucket, type TestBucket } from '../../../test/support/s3.ts';
import { CriaError } from '../../base/errors.ts';
import { parseRecipe } from '../../corpus/recipe/recipe.ts';
import { buildCorpus } from '../node/corpus/build.ts';
import { namesFile, parseAddress } from './address.ts';
import type { Pending, Question } from './protocol.ts';
import { RemoteSource } from './remote-source.ts';
import { RemoteFiles } from './service.ts';

const folder = mkdtempSync(join(tmpdir(), 'remote-'));
const big = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 2654435761) >>> 13);
const jsonl = ['one of them', 'two of them', 'three of them'].map((text) => JSON.stringify({ text })).join('\n');
const patience = { pauseMs: 1, stallMs: 60_000 };
let bucket: TestBucket;
let hub: TestHub;

before(async () => {
  bucket = await startBucket({
    'crawl/a/0.jsonl': jsonl,
    'crawl/a/1.jsonl.gz': gzipSync(jsonl),
    "crawl/b/it's (2) + more=&.jsonl": jsonl,
    'crawl/empty': '',
    'crawl/folder/': '',
    'other/big.bin': big,
    'code/LICENSE': 'Permission is hereby granted, free of charge, to any person obtaining a copy',
    'code/src/a.ts': 'export const a = 1;',
  });
  hub = await startHub(
    'owner/texts',
    [
      { path: 'en/0.jsonl', bytes: Buffer.from(jsonl) },
      { path: 'README.md', bytes: Buffer.from('#') },
    ],
    'dataset',
  );
});
after(() => {
  bucket.close();
  hub.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  bucket.misbehave = bucket.credentials = null;
  bucket.requests.length = hub.requests.length = 0;
  bucket.pageSize = 1000;
});

const environment = () => ({
  AWS_ENDPOINT_URL: bucket.url,
  HF_ENDPOINT: hub.url,
  HF_HOME: join(folder, 'hub'),
});
const files = (env = {}, patient = patience) =>
  new RemoteFiles({ env: { ...environment(), ...env }, patience: patient });

async function readAll(from: RemoteFiles, name: string): Promise<Uint8Array> {
  const opened = await from.open(name);
  if (opened.kind === 'local') return readFileSync(opened.path);
  const bytes = new Uint8Array(opened.byteLength);
  if (bytes.length > 0) await from.read(name, opened, 0, bytes);
  return bytes;
}

test('addresses have three forms, and others are refused', () => {
  deepStrictEqual(parseAddress('s3://my-bucket/a/b c.gz'), { scheme: 's3', bucket: 'my-bucket', key: 'a/b c.gz' });
  const hf = { scheme: 'hf', repo: 'allenai/c4', revision: 'refs/pr/1', path: 'en/*.json.gz' };
  deepStrictEqual(parseAddress('hf://datasets/allenai/c4@refs%2Fpr%2F1/en/*.json.gz'), hf);
  deepStrictEqual(parseAddress('hf://datasets/a/b'), { scheme: 'hf', repo: 'a/b', revision: 'main', path: '' });
  for (const wrong of ['hf://models/a/b', 's3://', 'hf://datasets/../x', 'https://'])
    throws(() => parseAddress(wrong), { code: 'source.address' });
  const alone = [
    's3://bucket',
    's3://LICENSE',
    'https://LICENSE',
    'hf://datasets/LICENSE',
    'hf://datasets/a/LICENSE',
    's3:/',
  ];
  for (const none of alone) strictEqual(namesFile(none), false, none);
  for (const one of ['s3://b1x/LICENSE', 'https://h/LICENSE', 'hf://datasets/a/b@main/LICENSE'])
    strictEqual(namesFile(one), true, one);
});

test('a bucket is listed by prefix or pattern over many pages, and every key is read and signed', async () => {
  bucket.pageSize = 2;
  bucket.credentials = { id: 'AKIA', secret: 'se/cret+', region: 'eu-x-1' };
  const s3 = files({ AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'se/cret+', AWS_REGION: 'eu-x-1' });
  const names = async (pattern: string) =>
    (await s3.list(pattern)).map(({ name }) => name.slice('s3://bucket/'.length));
  const strange = "crawl/b/it's (2) + more=&.jsonl";
  deepStrictEqual(await names('s3://bucket/crawl/'), ['crawl/a/0.jsonl', 'crawl/a/1.jsonl.gz', strange, 'crawl/empty']);
  ok(bucket.requests.length >= 3);
  deepStrictEqual(await names('s3://bucket/crawl/**/*.jsonl'), ['crawl/a/0.jsonl', strange]);
  deepStrictEqual(await names('s3://bucket/crawl/a/{0,1}.jsonl*'), ['crawl/a/0.jsonl', 'crawl/a/1.jsonl.gz']);
  deepStrictEqual(await names('s3://bucket/crawl/nothing*'), []);
  deepStrictEqual(await s3.list('s3://bucket/crawl/nothing'), []);
  const [one] = await s3.list(`s3://bucket/${strange}`);
  deepStrictEqual([one!.name, one!.bytes], [`s3://bucket/${strange}`, jsonl.length]);
  strictEqual(Buffer.from(await readAll(s3, one!.name)).toString(), jsonl);
  strictEqual((await readAll(s3, 's3://bucket/crawl/empty')).length, 0);
});

test('a transfer that breaks goes on where it was, over 503 and a stalled connection', async () => {
  const troubles = ['break', 'busy', 'stall', 'break'];
  bucket.misbehave = (_key, from, _request, response) => {
    const trouble = troubles.shift();
    if (trouble === 'busy') return !!response.writeHead(503, { 'retry-after': '0' }).end('<Code>SlowDown</Code>');
    const left = big.subarray(from);
    const range = `bytes ${from}-${big.length - 1}/${big.length}`;
    response.writeHead(206, { etag: '"v"', 'content-length': left.length, 'content-range': range });
    if (trouble === undefined) return !!response.end(left);
    response.write(left.subarray(0, 50_000));
    if (trouble === 'break') setTimeout(() => response.destroy(), 20);
    return true;
  };
  const bytes = new Uint8Array(big.length);
  const hasty = files({}, { pauseMs: 1, stallMs: 1500 });
  await hasty.read('s3://bucket/other/big.bin', { byteLength: big.length, version: '"v"' }, 0, bytes);
  deepStrictEqual(bytes, big);
  const starts = bucket.requests.map((request) => Number(/bytes=(\d+)-/.exec(request)![1]));
  strictEqual(starts.length, 5);
  ok(starts.every((start, i) => i === 0 || start >= starts[i - 1]!) && starts.at(-1)! > 50_000, String(starts));
});

test('a file that changes while it is read is no file at all', async () => {
  const bytes = new Uint8Array(10);
  const older = { byteLength: big.length, version: '"older"' };
  await rejects(files().read('s3://bucket/other/big.bin', older, 0, bytes), { code: 'source.changed' });
});

test('what a server refuses comes back in words', async () => {
  bucket.credentials = { id: 'AKIA', secret: 'right', region: 'us-east-1' };
  const words = async (name: string, env = {}) => {
    const error = await files(env)
      .open(name)
      .catch((thrown: unknown) => thrown);
    ok(error instanceof CriaError, String(error));
    return `${error.code} ${error.message}`;
  };
  match(await words('s3://bucket/crawl/empty'), /^network\.no-credentials .*403 AccessDenied.*set AWS_ACCESS_KEY_ID/);
  const wrong = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'wrong' };
  match(await words('s3://bucket/crawl/empty', wrong), /^network\.refused .*SignatureDoesNotMatch.*Check AWS_/);
  bucket.credentials = null;
  match(await words('s3://bucket/nothing'), /^source\.missing s3:\/\/bucket\/nothing .*404/);
  match(await words('s3://nobody/nothing'), /NoSuchBucket.*name of the bucket/);
  match(await words(`${bucket.url}/web/nothing`), /^source\.missing http.*404/);
  bucket.misbehave = (_key, _from, _request, response) => !!response.writeHead(200).end(big);
  match(await words(`${bucket.url}/web/other/big.bin`), /^network\.no-ranges .*gives only the whole\. Download it/);
  bucket.misbehave = (_key, _from, _request, response) => !!response.writeHead(403).end();
  match(await words(`${bucket.url}/web/other/big.bin`), /^network\.refused .*403.*no passwords/);
  bucket.requests.length = 0;
  bucket.misbehave = (_key, _from, _request, response) => !!response.writeHead(503).end();
  match(await words('s3://bucket/other/big.bin'), /^network\.failed .*503, 5 times in a row/);
  strictEqual(bucket.requests.length, 5);
  match(await words('http://127.0.0.1:1/x'), /^network\.failed .*(ECONNREFUSED|bad port)/);
});

test('a bucket of another region is asked there, and a web server that moved a file is followed', async () => {
  let region: string | undefined;
  bucket.misbehave = (key, _from, request, response) => {
    if (key !== 'crawl/a/0.jsonl') return false;
    region = /\d{8}\/([^/]+)\/s3/.exec(request.headers.authorization ?? '')?.[1];
    if (region === 'us-east-1') return !!response.writeHead(301, { 'x-amz-bucket-region': 'sa-east-1' }).end();
    if (region === undefined) return !!response.writeHead(302, { location: '/web/other/big.bin' }).end();
    return false;
  };
  const s3 = files({ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' });
  strictEqual(Buffer.from(await readAll(s3, 's3://bucket/crawl/a/0.jsonl')).toString(), jsonl);
  strictEqual(region, 'sa-east-1');
  deepStrictEqual(await readAll(files(), `${bucket.url}/web/crawl/a/0.jsonl`), big);
});

test('a source reads any place in any order, and fetches ahead of who reads on', () => {
  const asked: (readonly [from: number, length: number])[] = [];
  let dropped = 0;
  const ask = (question: Question): Pending => {
    if (question.kind !== 'read') throw new Error(question.kind);
    const target = new Uint8Array(question.target);
    asked.push([question.from, target.length]);
    return {
      wait: () => target.set(long.subarray(question.from, question.from + target.length)),
      drop: () => dropped++,
    };
  };
  const long = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 2654435761) >>> 13);
  const source = new RemoteSource('long', { byteLength: long.length, version: '' }, ask);
  const read = (from: number, length: number) => {
    const target = new Uint8Array(length);
    source.readInto(target, from);
    deepStrictEqual(target, long.subarray(from, from + length), `${length} bytes at ${from}`);
  };
  for (let at = 0; at < 1_500_000; at += 100_000) read(at, 100_000);
  const KiB = 1024;
  deepStrictEqual(asked.slice(0, 4), [
    [0, 256 * KiB],
    [256 * KiB, 512 * KiB],
    [768 * KiB, 1024 * KiB],
    [1792 * KiB, long.length - 1792 * KiB],
  ]);
  read(2_999_990, 10);
  strictEqual(dropped, 1);
  read(5, 700_000);
  read(0, long.length);
  throws(() => read(long.length - 1, 2), { code: 'bytes.truncated' });
});

test('cria corpus builds from a bucket, a web server and the hub, and knows an unchanged file again', async () => {
  process.env.AWS_ENDPOINT_URL = bucket.url;
  process.env.HF_ENDPOINT = hub.url;
  process.env.HF_HOME = join(folder, 'hub');
  const source = (...patterns: string[]) => ({ reader: 'jsonl', files: patterns, stages: ['dedup-documents'] });
  const recipe = parseRecipe(
    {
      name: 'remote',
      input: 's3://bucket/crawl',
      output: join(folder, 'out'),
      sources: {
        s3: source('a/*'),
        web: source(`${bucket.url}/web/crawl/a/1.jsonl.gz`),
        hub: source('hf://datasets/owner/texts/en/*.jsonl'),
        code: { reader: 'code', files: ['s3://bucket/code/src/*'], stages: [] },
      },
    },
    'recipe',
  );
  let breaks = 2;
  bucket.misbehave = (_key, from, request, response) =>
    request.headers.range !== 'bytes=0-0' && from === 0 && breaks-- > 0 && !!response.destroy();
  const built = await buildCorpus(recipe, { workers: 1, patience });
  const kept = (name: string) => Object.values(built.audit.sources[name]!.audit.stages)[0]!.out.documents;
  // The licence lies above the code, as on a disk.
  const table = readFileSync(join(folder, 'out', 'attributes', 'code-00000-attributes-0.parquet'));
  const [row] = await parquetReadObjects({
    file: table.buffer.slice(table.byteOffset, table.byteOffset + table.length),
  });
  deepStrictEqual([row!.id, row!.licence], ['code/s3://bucket/code/src/a.ts', 'mit']);
  deepStrictEqual([kept('s3'), kept('web'), kept('hub')], [3, 3, 3], 'two files of the bucket hold the same texts');
  deepStrictEqual(
    Object.values(built.audit.sources).flatMap(({ audit }) => audit.problems),
    [],
  );
  ok(hub.requests.some((request) => request.includes(`/resolve/${COMMIT}/en/0.jsonl`)));
  const again = await buildCorpus(recipe, { workers: 1, patience });
  strictEqual(again.unitsMade, 0);
  // A server that fails for good ends the run in words: it says nothing of the file.
  bucket.objects.set('crawl/a/0.jsonl', Buffer.from(`${jsonl}\n{"text": "four"}`));
  bucket.misbehave = (key, _from, request, response) =>
    request.headers.range !== 'bytes=0-0' && key === 'crawl/a/0.jsonl' && !!response.writeHead(500).end();
  await rejects(buildCorpus(recipe, { workers: 1, patience }), { code: 'network.failed' });
  bucket.misbehave = null;
  strictEqual(
    (await buildCorpus(recipe, { workers: 1, patience })).audit.sources.s3!.audit.stages['dedup-documents']!.out
      .documents,
    4,
  );
});

/** Models from the hub, by a server on loopback that breaks off, stalls, lies and wants a token. */
import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { Random } from '../../src/base/random.ts';
import { findCached, listCached, removeCached } from '../../src/platform/hub/cache.ts';
import { chooseFiles, type HubFile, parseHubName } from '../../src/platform/hub/names.ts';
import { type PullOptions, pull } from '../../src/platform/hub/pull.ts';
import { COMMIT, type HubFixture, startHub } from '../support/hub.ts';

const random = new Random(1);
const bytesOf = (length: number) => Uint8Array.from({ length }, () => Math.floor(256 * random.uniform()));
const REPO = 'owner/stories';
const q4 = bytesOf(300_000);
const files: HubFixture[] = [
  { path: 'README.md', bytes: bytesOf(300) },
  { path: 'stories-Q4_K_M.gguf', bytes: q4, lfs: true },
  { path: 'stories-Q8_0.gguf', bytes: bytesOf(200_000), lfs: true },
];

const folders: string[] = [];
const hub = await startHub(REPO, files);
after(() => {
  hub.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  hub.misbehave = null;
  hub.token = null;
  hub.requests.length = 0;
});

function newCache(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cria-hub-'));
  folders.push(folder);
  return folder;
}

const options = (cache: string, more: Partial<PullOptions> = {}): PullOptions => ({
  signal: new AbortController().signal,
  offline: false,
  env: { HF_ENDPOINT: hub.url },
  onProgress: () => {},
  cache,
  patience: { pauseMs: 1, stallMs: 60_000 },
  ...more,
});
const name = parseHubName(`hf:${REPO}`);
const fileRequests = () => hub.requests.filter((request) => request.includes('/resolve/'));
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

describe('pull', () => {
  test('fetches the usual quantization into the shared layout, once', async () => {
    const cache = newCache();
    const seen: number[] = [];
    const path = await pull(name, options(cache, { onProgress: (done) => seen.push(done) }));
    deepStrictEqual(new Uint8Array(readFileSync(path)), q4);
    const repo = join(cache, 'models--owner--stories');
    strictEqual(path, join(repo, 'snapshots', COMMIT, 'stories-Q4_K_M.gguf'));
    ok(lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(join('..', '..', 'blobs')));
    strictEqual(readFileSync(join(repo, 'refs/main'), 'utf8'), COMMIT);
    strictEqual(seen.at(-1), q4.length);
    strictEqual(await pull(name, options(cache)), path);
    strictEqual(fileRequests().length, 1);
    strictEqual(findCached(name, cache), path);
    strictEqual(await pull(name, options(cache, { offline: true })), path);
  });

  test('a connection that breaks off is taken up again where it was', async () => {
    hub.misbehave = (_path, from, _request, response) => {
      const end = Math.min(q4.length, from + 70_000);
      response.writeHead(from > 0 ? 206 : 200, {
        'content-length': q4.length - from,
        'content-range': `bytes ${from}-${q4.length - 1}/${q4.length}`,
      });
      response.write(q4.subarray(from, end), () => {
        if (end === q4.length) response.end();
        else setTimeout(() => response.destroy(), 30); // when it has arrived
      });
      return true;
    };
    const path = await pull(name, options(newCache()));
    deepStrictEqual(new Uint8Array(readFileSync(path)), q4);
    ok(fileRequests().length >= 5);
    ok(
      fileRequests()
        .slice(1)
        .every((request) => / bytes=[1-9]\d*-$/.test(request)),
    );
  });

  test('what an earlier run left is taken up, and fetched anew where it was damaged', async () => {
    for (const [left, first] of [
      [q4.slice(0, 100_000), ' bytes=100000-'],
      [q4.slice(0, 100_000).fill(7), ' bytes=100000-'],
      [new Uint8Array(q4.length + 1), ''],
    ] as const) {
      const cache = newCache();
      await pull(parseHubName(`${REPO}:Q8_0`), options(cache));
      const [sha256] = hub.requests.length > 0 ? [await sha256Of(q4)] : [];
      writeFileSync(join(cache, 'models--owner--stories/blobs', `${sha256}.incomplete`), left);
      hub.requests.length = 0;
      const path = await pull(name, options(cache));
      deepStrictEqual(new Uint8Array(readFileSync(path)), q4);
      ok(fileRequests()[0]!.endsWith(`stories-Q4_K_M.gguf${first}`));
    }
  });

  test('a server that stalls, fails for a while or knows no ranges', async () => {
    let asked = 0;
    hub.misbehave = (_path, from, _request, response) => {
      asked++;
      if (asked === 1) {
        response.writeHead(200, { 'content-length': q4.length }).write(q4.subarray(0, 50_000)); // and then nothing
        return true;
      }
      if (asked === 2) {
        response.writeHead(503).end();
        return true;
      }
      ok(from > 0);
      response.writeHead(200, { 'content-length': q4.length }).end(q4);
      return true;
    };
    const path = await pull(name, options(newCache(), { patience: { pauseMs: 1, stallMs: 1500 } }));
    deepStrictEqual(new Uint8Array(readFileSync(path)), q4);
    strictEqual(asked, 3);
  });

  test('wrong bytes are never kept', async () => {
    const cache = newCache();
    hub.misbehave = (_path, _from, _request, response) => {
      response.writeHead(200, { 'content-length': q4.length }).end(q4.slice().fill(0, 5, 6));
      return true;
    };
    await rejects(pull(name, options(cache)), code('hub.digest'));
    strictEqual(findCached(name, cache), null);
    deepStrictEqual(listCached(cache), []);
    hub.misbehave = null;
    ok(existsSync(await pull(name, options(cache))));
    hub.misbehave = (_path, _from, _request, response) => {
      response.writeHead(200).end(new Uint8Array(q4.length + 5));
      return true;
    };
    await rejects(pull(parseHubName(`${REPO}:q8_0`), options(cache)), code('hub.size'));
  });

  test('a server that never gives it is left after some tries; a cancelled pull can go on later', async () => {
    hub.misbehave = (_path, _from, _request, response) => {
      response.destroy();
      return true;
    };
    await rejects(pull(name, options(newCache())), code('hub.network'));
    strictEqual(fileRequests().length, 5);
    const cache = newCache();
    const stop = new AbortController();
    hub.misbehave = (_path, _from, _request, response) => {
      response.writeHead(200, { 'content-length': q4.length }).write(q4.subarray(0, 90_000));
      return true;
    };
    await rejects(pull(name, options(cache, { signal: stop.signal, onProgress: () => stop.abort() })), {
      name: 'AbortError',
    });
    hub.misbehave = null;
    hub.requests.length = 0;
    await pull(name, options(cache));
    ok(/ bytes=[1-9]\d*-$/.test(fileRequests()[0]!));
  });

  test('the token of the environment is sent; without it the refusal says what to do', async () => {
    hub.token = 'hf_secret';
    await rejects(pull(name, options(newCache())), /HF_TOKEN/);
    const env = { HF_ENDPOINT: hub.url, HF_TOKEN: 'hf_secret' };
    ok(existsSync(await pull(name, options(newCache(), { env }))));
  });

  test('offline, nothing is asked', async () => {
    const cache = newCache();
    await rejects(pull(name, options(cache, { offline: true })), code('hub.not-cached'));
    const env = { HF_ENDPOINT: hub.url, HF_HUB_OFFLINE: '1' };
    await rejects(pull(name, options(cache, { env })), code('hub.not-cached'));
    deepStrictEqual(hub.requests, []);
  });

  test('an index that lies is refused before anything is fetched', async () => {
    for (const bad of [
      { path: '../../evil.gguf', bytes: q4, lfs: true },
      { path: 'a/../b.gguf', bytes: q4, lfs: true },
      { path: 'x.gguf', bytes: q4, lfs: true, claims: { digest: '../../evil' } },
      { path: 'x.gguf', bytes: q4, lfs: true, claims: { size: -1 } },
    ]) {
      const liar = await startHub(REPO, [bad]);
      const cache = newCache();
      await rejects(pull(name, options(cache, { env: { HF_ENDPOINT: liar.url } })), code('hub.index'));
      ok(liar.requests.every((request) => !request.includes('/resolve/')));
      liar.close();
    }
  });
});

describe('list and rm', () => {
  test('a quantization goes with its bytes, then the repository', async () => {
    const cache = newCache();
    await pull(name, options(cache));
    await pull(parseHubName(`${REPO}:Q8_0`), options(cache));
    deepStrictEqual(
      listCached(cache).map(({ repo, files }) => [repo, files.map(({ path }) => path)]),
      [[REPO, ['stories-Q4_K_M.gguf', 'stories-Q8_0.gguf']]],
    );
    strictEqual(removeCached(parseHubName(`${REPO}:Q8_0`), cache), 200_000);
    strictEqual(listCached(cache)[0]!.files.length, 1);
    strictEqual(removeCached(name, cache), q4.length);
    deepStrictEqual(listCached(cache), []);
    throws(() => removeCached(name, cache), code('hub.not-cached'));
  });
});

describe('rm touches nothing but links and its own blobs', () => {
  const precious = () => {
    const folder = mkdtempSync(join(tmpdir(), 'cria-precious-'));
    writeFileSync(join(folder, 'stories-Q8_0.gguf'), 'precious');
    return folder;
  };
  const snapshotIn = (cache: string) => join(cache, 'models--owner--stories', 'snapshots', 'main');
  const wanted = parseHubName(`${REPO}:Q8_0`);

  test('a link to a file elsewhere goes, the file stays', () => {
    const [cache, elsewhere] = [newCache(), precious()];
    const file = join(elsewhere, 'stories-Q8_0.gguf');
    mkdirSync(snapshotIn(cache), { recursive: true });
    symlinkSync(file, join(snapshotIn(cache), 'stories-Q8_0.gguf'));
    strictEqual(removeCached(wanted, cache), 0);
    strictEqual(readFileSync(file, 'utf8'), 'precious');
    deepStrictEqual(listCached(cache), []);
  });

  test('a snapshot, a folder in it or a repository that is a link: nothing behind it goes', () => {
    for (const place of ['snapshot', 'folder', 'repository'] as const) {
      const [cache, elsewhere] = [newCache(), precious()];
      const snapshot = snapshotIn(cache);
      const link = place === 'repository' ? join(cache, 'models--owner--stories') : snapshot;
      if (place === 'repository') {
        mkdirSync(join(elsewhere, 'snapshots', 'main'), { recursive: true });
        writeFileSync(join(elsewhere, 'snapshots', 'main', 'stories-Q8_0.gguf'), 'precious');
        mkdirSync(cache, { recursive: true });
      } else mkdirSync(join(snapshot, '..'), { recursive: true });
      if (place === 'folder') {
        mkdirSync(snapshot);
        symlinkSync(elsewhere, join(snapshot, 'sub'));
      } else symlinkSync(elsewhere, link);
      throws(() => removeCached(wanted, cache), code('hub.not-ours'), place);
      strictEqual(readFileSync(join(elsewhere, 'stories-Q8_0.gguf'), 'utf8'), 'precious');
      removeCached(parseHubName(REPO), cache);
      strictEqual(readFileSync(join(elsewhere, 'stories-Q8_0.gguf'), 'utf8'), 'precious', 'the link went alone');
      deepStrictEqual(listCached(cache), []);
    }
  });
});

describe('names', () => {
  const list = (...paths: string[]): HubFile[] => paths.map((path) => ({ path, bytes: 1 }));
  const pick = (quant: string | null, ...paths: string[]) =>
    chooseFiles({ repo: REPO, quant, revision: 'main' }, list(...paths));

  test('parts, sides and what is missing', () => {
    deepStrictEqual(parseHubName('hf:a/b:Q4_0@v1'), { repo: 'a/b', quant: 'Q4_0', revision: 'v1' });
    for (const bad of ['a', 'a/b/c', 'a/..', 'hf:', 'a/b:', 'a/b@../x', 'a/b c']) {
      throws(() => parseHubName(bad), code('hub.name'), bad);
    }
    const parts = ['m-Q4_K_M-00001-of-00002.gguf', 'm-Q4_K_M-00002-of-00002.gguf'];
    deepStrictEqual(pick(null, 'm-f16.gguf', ...parts), { files: parts, open: parts[0] });
    deepStrictEqual(pick('f16', 'm-f16.gguf', ...parts).open, 'm-f16.gguf');
    deepStrictEqual(pick(null, 'only.gguf', 'mmproj-f16.gguf').open, 'only.gguf');
    throws(() => pick('Q4_K', 'm.Q4_K_M.gguf', 'm.Q2_K.gguf'), /did you mean Q4_K_M.*found Q2_K, Q4_K_M/);
    deepStrictEqual(
      pick(null, 'config.json', 'model.safetensors', 'pytorch_model.bin', 'tokenizer.json', 'a/b.json', 'x.py').files,
      ['config.json', 'tokenizer.json', 'model.safetensors'],
    );
    throws(() => pick(null, 'README.md'), code('hub.no-model'));
    throws(() => pick('Q4_0', 'config.json', 'model.safetensors'), code('hub.no-quant'));
  });
});

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

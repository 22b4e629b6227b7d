import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { responseOf } from './response.ts';

const MIB = 1 << 20;

function replied(body: string | Uint8Array<ArrayBuffer>, { stallSeconds = 60 } = {}) {
  const ends: boolean[] = [];
  const going = new AbortController();
  const options = { signal: going.signal, stallSeconds, onStall: undefined, onEnd: (all: boolean) => ends.push(all) };
  return { response: responseOf({ kind: 'text', body, type: 'text/plain' }, options), ends, going };
}

describe('replies as responses', () => {
  test('a long body comes whole, with its length, and others have their turn in between', async () => {
    const body = Uint8Array.from({ length: 8 * MIB + 3 }, (_, i) => (i * 7919) >> 3);
    const { response, ends } = replied(body);
    deepStrictEqual([...response.headers.keys()], ['content-length', 'content-type']);
    strictEqual(response.headers.get('content-length'), String(body.length));
    let turns = 0;
    let open = true;
    const turn = () => {
      turns++;
      if (open) setImmediate(turn);
    };
    setImmediate(turn);
    const received = await response.bytes();
    open = false;
    ok(Buffer.from(body.buffer).equals(received));
    ok(turns >= 16, `${turns} turns for 8 MiB`);
    deepStrictEqual(ends, [true]);
  });

  test('who takes nothing of it, or goes, is let go', async () => {
    const stalled = replied(new Uint8Array(8 * MIB), { stallSeconds: 0.02 });
    await rejects(
      new Promise((resolve) => setTimeout(resolve, 100)).then(() => stalled.response.bytes()),
      /the client took nothing for 0.02 s/,
    );
    deepStrictEqual(stalled.ends, [false]);
    const left = replied(new Uint8Array(8 * MIB));
    left.going.abort();
    deepStrictEqual(left.ends, [false]);
  });

  test('a short one is a response of its own', async () => {
    for (const body of ['', 'text', new Uint8Array(MIB / 4)]) {
      const { response, ends } = replied(body);
      strictEqual((await response.arrayBuffer()).byteLength, body.length);
      deepStrictEqual(ends, [true]);
    }
  });
});
